// A schema registry for development and tests: srfake of franz-go, with a journal, so that schemas keep
// their ids when it is killed and started again.
//
// It says yes to every schema and every question of compatibility: register-schemas has rules of its own.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"

	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// A request that changed something.
type change struct {
	Method string
	URL    string
	Body   []byte
}

// Hands requests on, one change at a time, and writes down those that succeeded.
type journal struct {
	registry http.Handler
	lock     sync.Mutex
	file     *os.File
}

func main() {
	address := flag.String("listen", "127.0.0.1:8081", "where to listen")
	dir := flag.String("dir", "", "where to keep what is registered")
	flag.Parse()
	if err := run(*address, *dir); err != nil {
		log.Fatal(err)
	}
}

func run(address, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	journal, err := open(filepath.Join(dir, "journal"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	log.Printf("listening on %s", address)
	return http.Serve(listener, journal)
}

// Opens a journal and does again what is written in it.
func open(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	journal := &journal{registry: srfake.NewRegistry().Handler(), file: file}
	reader := bufio.NewReader(file)
	var end int64
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // What a kill cut short was not acknowledged.
		}
		if err != nil {
			return nil, err
		}
		var past change
		if err := json.Unmarshal(line, &past); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		journal.do(past)
		end += int64(len(line))
	}
	if err := file.Truncate(end); err != nil {
		return nil, err
	}
	_, err = file.Seek(end, io.SeekStart)
	return journal, err
}

func (j *journal) do(asked change) *httptest.ResponseRecorder {
	request := httptest.NewRequest(asked.Method, asked.URL, bytes.NewReader(asked.Body))
	answer := httptest.NewRecorder()
	j.registry.ServeHTTP(answer, request)
	return answer
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		j.registry.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	j.lock.Lock()
	defer j.lock.Unlock()
	asked := change{Method: r.Method, URL: r.URL.String(), Body: body}
	answer := j.do(asked)
	if answer.Code == http.StatusOK {
		if err := j.write(asked); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (j *journal) write(asked change) error {
	line, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(line, '\n'))
	return err
}
