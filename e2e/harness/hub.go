package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
)

// startPatience bounds the start of a hub on a busy machine.
const startPatience = 90 * time.Second

// HubOptions say what a hub is started with.
type HubOptions struct {
	// DataDir is the hub's data directory; a new temporary one if empty, which Close removes.
	DataDir string
	// Flags of hanse hub besides the data directory and the addresses.
	Flags []string
}

// A Hub is a running hanse hub.
type Hub struct {
	Clients
	// DNS is the address of its DNS server.
	DNS string
	// URL of its API.
	URL string

	options HubOptions
	ownsDir bool
	log     string
	process *Process
}

// StartHub starts a hub on free ports and waits until it is ready.
func StartHub(ctx context.Context, options HubOptions) (*Hub, error) {
	h := &Hub{options: options}
	if options.DataDir == "" {
		dir, err := os.MkdirTemp("", "hub-")
		if err != nil {
			return nil, err
		}
		h.options.DataDir, h.ownsDir = dir, true
	}
	if logs := os.Getenv("E2E_LOGS"); logs != "" {
		h.log = filepath.Join(logs, filepath.Base(h.options.DataDir)+".log")
	}
	if err := h.start(ctx, "127.0.0.1:0", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// announced is what a hub says when it has its ports.
var announced = regexp.MustCompile(`hub at (https://\S+), DNS at (\S+)`)

func (h *Hub) start(ctx context.Context, listen, dns string) error {
	program, err := Hanse()
	if err != nil {
		return err
	}
	arguments := slices.Concat([]string{"hub", "--data-dir", h.options.DataDir, "--listen", listen, "--dns-listen", dns},
		h.options.Flags)
	if h.process, err = StartProcess(h.log, program, arguments...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	err = wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) {
		if h.process.Ended() {
			return false, errors.New("it ended")
		}
		found := announced.FindStringSubmatch(h.process.Output())
		if found == nil {
			return false, nil
		}
		h.URL, h.DNS = found[1], found[2]
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the hub's ports: %w; its last words:\n%s", err, h.process.LastWords())
	}
	config, err := clientcmd.BuildConfigFromFlags("", h.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the hub's kubeconfig: %w", err)
	}
	if h.Clients, err = NewClients(config); err != nil {
		return err
	}
	return h.AwaitReady(ctx)
}

// AwaitReady waits until the hub says that it is ready.
func (h *Hub) AwaitReady(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if h.process.Ended() {
			return false, errors.New("it ended")
		}
		_, last = h.Kube.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the hub to be ready: %w (%v); its last words:\n%s", err, last, h.process.LastWords())
	}
	return nil
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (h *Hub) Kubeconfig() string { return filepath.Join(h.options.DataDir, "admin.kubeconfig") }

// DataDir is the hub's data directory.
func (h *Hub) DataDir() string { return h.options.DataDir }

// Process is the hub's process.
func (h *Hub) Process() *Process { return h.process }

// Stop ends the hub as a shutdown does; it must end by itself with exit code 0.
func (h *Hub) Stop() error {
	if err := h.process.End(syscall.SIGTERM); err != nil {
		return err
	}
	if code := h.process.Code(); code != 0 {
		return fmt.Errorf("the hub ended with exit code %d; its last words:\n%s", code, h.process.LastWords())
	}
	return nil
}

// Kill ends the hub as a crash does.
func (h *Hub) Kill() error { return h.process.End(syscall.SIGKILL) }

// Start starts a hub that was stopped or killed, on its old data and addresses, and waits until it is ready.
func (h *Hub) Start(ctx context.Context) error {
	return h.start(ctx, h.URL[len("https://"):], h.DNS)
}

// Close ends the hub and removes a data directory that StartHub made.
func (h *Hub) Close() error {
	var err error
	if h.process != nil && !h.process.Ended() {
		err = h.process.End(syscall.SIGKILL) // nobody will read its data again
	}
	if h.ownsDir {
		err = errors.Join(err, os.RemoveAll(h.options.DataDir))
	}
	return err
}

// Hanse runs a command of hanse against the hub.
func (h *Hub) Hanse(ctx context.Context, arguments ...string) (Result, error) {
	return RunHanse(ctx, h.Kubeconfig(), arguments...)
}

// Kubectl runs a command of kubectl against the hub.
func (h *Hub) Kubectl(ctx context.Context, stdin string, arguments ...string) (Result, error) {
	return RunKubectl(ctx, h.Kubeconfig(), stdin, arguments...)
}
