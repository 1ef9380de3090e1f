// Command embedded-broker is the broker of the standalone program: franz-go's kfake behind two C
// functions, built as a static library and linked into the Rust executable by ../build.rs.
//
// Every buffer belongs to the caller, so nothing is freed across the border.
package main

// #include <stddef.h>
import "C"

import (
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kfake"
)

// broker is a running cluster and what tidies it up.
type broker struct {
	cluster *kfake.Cluster
	ended   chan struct{}
	tidy    sync.WaitGroup
}

var (
	mutex   sync.Mutex
	next    C.int
	brokers = map[C.int]*broker{}
)

// kfake_start starts a broker on 127.0.0.1 and returns its handle, or -1 with the reason as a C string
// in message, cut at capacity. port is in and out: 0 takes a free one. A directory of no characters
// keeps everything in memory. Every cleanerMillis topics are compacted and cut to their retention.
//
//export kfake_start
func kfake_start(port *C.int, directory *C.char, cleanerMillis C.int, message *C.char, capacity C.size_t) C.int {
	every := time.Duration(cleanerMillis) * time.Millisecond
	started, bound, err := start(int(*port), C.GoString(directory), every)
	if err != nil {
		write(err.Error(), message, capacity)
		return -1
	}
	*port = C.int(bound)
	mutex.Lock()
	defer mutex.Unlock()
	handle := next
	next++
	brokers[handle] = started
	return handle
}

// kfake_stop writes what is not written yet and closes the broker. A handle that is not known, or was
// stopped, is left alone.
//
//export kfake_stop
func kfake_stop(handle C.int) {
	mutex.Lock()
	running := brokers[handle]
	delete(brokers, handle)
	mutex.Unlock()
	if running != nil {
		// A cluster that is closed answers no call, so nothing may be on its way.
		close(running.ended)
		running.tidy.Wait()
		running.cluster.Close()
	}
}

func start(port int, directory string, cleanerInterval time.Duration) (*broker, int, error) {
	options := []kfake.Opt{
		kfake.ClusterID("campaign-manager-standalone"),
		kfake.Ports(port),
		// What it cannot write to disk, such as when that is full, it says nowhere else.
		kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelError)),
	}
	if directory != "" {
		options = append(options, kfake.DataDir(directory))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, 0, err
	}
	bound, err := boundPort(cluster)
	if err != nil {
		cluster.Close()
		return nil, 0, err
	}
	started := &broker{cluster: cluster, ended: make(chan struct{})}
	started.tidy.Go(func() { started.compact(cleanerInterval) })
	return started, bound, nil
}

// compact compacts topics and cuts them to their retention, now and then. The cluster has a clock of its
// own for that, but it stands still after data were reopened, until some topic is made or changed.
func (b *broker) compact(every time.Duration) {
	clock := time.NewTicker(every)
	defer clock.Stop()
	for {
		select {
		case <-b.ended:
			return
		case <-clock.C:
			b.cluster.Compact()
		}
	}
}

func boundPort(cluster *kfake.Cluster) (int, error) {
	addresses := cluster.ListenAddrs()
	if len(addresses) != 1 {
		return 0, errors.New("the broker does not listen on one address")
	}
	_, port, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

func write(text string, message *C.char, capacity C.size_t) {
	if capacity == 0 {
		return
	}
	buffer := unsafe.Slice((*byte)(unsafe.Pointer(message)), int(capacity))
	buffer[copy(buffer[:len(buffer)-1], text)] = 0
}

func main() {}
