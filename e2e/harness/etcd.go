package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/util/wait"
)

// EtcdServer is an etcd of one member, as an operator would run it for a hub.
type EtcdServer struct {
	// URL for clients.
	URL string

	dir     string
	peer    string
	process *Process
}

// StartEtcd starts an etcd on free ports.
func StartEtcd(ctx context.Context) (*EtcdServer, error) {
	dir, err := os.MkdirTemp("", "etcd-")
	if err != nil {
		return nil, err
	}
	client, peer, err := freePorts()
	if err != nil {
		return nil, err
	}
	e := &EtcdServer{URL: "http://" + client, peer: "http://" + peer, dir: dir}
	if err := e.Start(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// freePorts are two addresses that were free a moment ago.
func freePorts() (string, string, error) {
	a, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer a.Close()
	b, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer b.Close()
	return a.Addr().String(), b.Addr().String(), nil
}

// Start starts it, again after an End on its old data, and waits until it answers.
func (e *EtcdServer) Start(ctx context.Context) error {
	program, err := Etcd()
	if err != nil {
		return err
	}
	e.process, err = StartProcess("", program, "--name=one", "--data-dir="+filepath.Join(e.dir, "data"),
		"--listen-client-urls="+e.URL, "--advertise-client-urls="+e.URL,
		"--listen-peer-urls="+e.peer, "--initial-advertise-peer-urls="+e.peer, "--initial-cluster=one="+e.peer)
	if err != nil {
		return err
	}
	client, err := dialEtcd(e.URL)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if e.process.Ended() {
			return false, errors.New("it ended")
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := client.Get(ctx, "health")
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for etcd: %w; its last words:\n%s", err, e.process.LastWords())
	}
	return nil
}

// Kill ends it as a crash does.
func (e *EtcdServer) Kill() error { return e.process.End(syscall.SIGKILL) }

// Close ends it and removes its data.
func (e *EtcdServer) Close() error {
	var err error
	if e.process != nil {
		err = e.process.End(syscall.SIGKILL)
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}

func dialEtcd(url string) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("making a client of etcd %s: %w", url, err)
	}
	return client, nil
}

// Stored is what is in the hub's embedded etcd at one moment: the revision, and the revision of each key.
type Stored struct {
	Revision int64
	Keys     map[string]int64
}

// Stored reads the embedded etcd of a hub that runs, beside its API.
func (h *Hub) Stored(ctx context.Context) (Stored, error) {
	client, err := dialEtcd("unix://" + filepath.Join(h.options.DataDir, "etcd", "run", "client.sock"))
	if err != nil {
		return Stored{}, err
	}
	defer client.Close()
	all, err := client.Get(ctx, "/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return Stored{}, fmt.Errorf("reading the hub's etcd: %w", err)
	}
	s := Stored{Revision: all.Header.Revision, Keys: map[string]int64{}}
	for _, kv := range all.Kvs {
		s.Keys[string(kv.Key)] = kv.ModRevision
	}
	return s, nil
}
