package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// ExternalConfig says how to reach an etcd cluster.
type ExternalConfig struct {
	// Endpoints are URLs, "https://host:2379". At least one.
	Endpoints []string
	// CAFile verifies the servers; CertFile and KeyFile are the client's own. All three are PEM files, or all empty.
	CAFile, CertFile, KeyFile string
	// Prefix is the beginning of all keys. Empty means DefaultPrefix. Hubs that share a prefix are replicas.
	Prefix string
	// Logger gets the client's warnings and errors. nil means slog.Default().
	Logger *slog.Logger
}

// OpenExternal connects to an etcd cluster and checks that one endpoint answers before ctx ends.
// Afterwards the client recovers by itself from endpoints that go away.
func OpenExternal(ctx context.Context, cfg ExternalConfig) (*Etcd, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("open external etcd: no endpoints given")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	c := clientv3.Config{
		Endpoints:            cfg.Endpoints,
		DialTimeout:          20 * time.Second,
		DialKeepAliveTime:    30 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		//lint:ignore SA1019 an unreachable etcd is to be an error now, not at the first request
		DialOptions: []grpc.DialOption{grpc.WithBlock()},
		Logger:      zapTo(cfg.Logger),
		Context:     context.Background(),
	}
	if deadline, ok := ctx.Deadline(); ok {
		c.DialTimeout = min(c.DialTimeout, time.Until(deadline))
	}
	if cfg.CAFile != "" || cfg.CertFile != "" || cfg.KeyFile != "" {
		tls, err := transport.TLSInfo{
			TrustedCAFile: cfg.CAFile, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile,
		}.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("read the certificates for etcd %v: %w", cfg.Endpoints, err)
		}
		c.TLS = tls
	}
	client, err := clientv3.New(c)
	if err != nil {
		return nil, fmt.Errorf("connect to etcd %v: %w", cfg.Endpoints, err)
	}
	if _, err := client.Get(ctx, cfg.Prefix, clientv3.WithCountOnly()); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("read from etcd %v: %w", cfg.Endpoints, err)
	}
	return newEtcd(client, cfg.Prefix, cfg.Endpoints, cfg.Logger), nil
}
