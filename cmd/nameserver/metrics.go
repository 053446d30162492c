package nameserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// register adds what only a server away from the hub has to tell; names are an interface to its users.
func (n *Nameserver) register() {
	n.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hanse_dns_hub_serial", Help: "Serial of the hub that is answered from; 0 before it has spoken.",
		}, func() float64 { return float64(n.follower.Serial()) }),
	)
}

// serveMetrics serves until the context ends.
func (n *Nameserver) serveMetrics(ctx context.Context) error {
	if n.config.MetricsListen == "" {
		<-ctx.Done()
		return nil
	}
	listener, err := n.listenMetrics(ctx)
	if err != nil || listener == nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if n.store.Snapshot() == nil {
			http.Error(w, "there is nothing to answer yet: the hub has not spoken", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return nil
}

// listenMetrics binds the port; a process that was taken over from may have it for a moment longer.
func (n *Nameserver) listenMetrics(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	for end := time.Now().Add(handoverPatience); ; {
		listener, err := config.Listen(ctx, "tcp", n.config.MetricsListen)
		if err == nil {
			n.config.Logger.Info("serving metrics", "address", listener.Addr().String())
			return listener, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(end) {
			return nil, fmt.Errorf("listening for metrics on %s: %w", n.config.MetricsListen, err)
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}
