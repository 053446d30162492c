package hub_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/cmd/hub"
)

// running is a hub in this process, with a client of its administrator.
type running struct {
	client.Client
	dir, url, dns string
}

func (r *running) address() string { return strings.TrimPrefix(r.url, "https://") }

func newHub(t *testing.T, dir, listen, dns string) (*hub.Hub, error) {
	t.Helper()
	return hub.New(t.Context(), hub.Config{
		DataDir: dir, Listen: listen, DNSListen: []string{dns}, Logger: slog.New(slog.DiscardHandler),
	})
}

// start runs a hub until the test ends.
func start(t *testing.T) *running {
	t.Helper()
	return startIn(t, t.TempDir())
}

func startIn(t *testing.T, dir string) *running {
	t.Helper()
	h, err := newHub(t, dir, "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := errors.Join(<-ended, h.Close()); err != nil {
			t.Errorf("the hub did not end well: %v", err)
		}
	})
	return clientOf(t, h, dir)
}

// clientOf is a hub with a client of its administrator.
func clientOf(t *testing.T, h *hub.Hub, dir string) *running {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", h.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return &running{Client: c, dir: dir, url: h.URL(), dns: h.DNSAddr()}
}
