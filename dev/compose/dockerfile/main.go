// Parses a Dockerfile with BuildKit's own code, checks every target by its rules (those of `docker build --check`), and prints
// what is wrong. Base images are not fetched.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// Every image is taken to exist, with nothing set.
type anyImage struct{}

func (anyImage) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{}}`)
	return ref, digest.FromBytes(config), config, nil
}

func check(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	targets, err := dockerfile2llb.ListTargets(context.Background(), text)
	if err != nil {
		return 0, err
	}
	source := llb.NewSourceMap(nil, path, "Dockerfile", text)
	source.Definition = &llb.Definition{}
	wrong := 0
	for _, target := range targets.Targets {
		capabilities := pb.Caps.CapSet(pb.Caps.All())
		results, err := dockerfile2llb.DockerfileLint(context.Background(), text, dockerfile2llb.ConvertOpt{
			Config:       dockerui.Config{Target: target.Name},
			MetaResolver: anyImage{},
			LLBCaps:      &capabilities,
			SourceMap:    source,
		})
		if err != nil {
			return wrong, fmt.Errorf("target %s: %w", target.Name, err)
		}
		for _, warning := range results.Warnings {
			fmt.Printf("%s: target %s: %s: %s\n", path, target.Name, warning.RuleName, warning.Detail)
			wrong++
		}
	}
	fmt.Printf("%s: %d targets, %d warnings\n", path, len(targets.Targets), wrong)
	return wrong, nil
}

func main() {
	wrong, err := check(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || wrong > 0 {
		os.Exit(1)
	}
}
