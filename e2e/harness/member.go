package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/hanse-federation/hanse/e2e/cluster"
)

// A Member is a cluster with clients.
type Member struct {
	cluster.Cluster
	Clients
}

// provider is the one that E2E_PROVIDER names.
var provider = sync.OnceValues(func() (cluster.Provider, error) {
	return cluster.Default(context.Background(), os.Stderr)
})

// NewMember brings up a cluster. It has not joined any hub.
func NewMember(ctx context.Context, name string, options cluster.Options) (*Member, error) {
	p, err := provider()
	if err != nil {
		return nil, err
	}
	c, err := p.Create(ctx, name, options)
	if err != nil {
		return nil, err
	}
	m := &Member{Cluster: c}
	if m.Clients, err = NewClients(c.Config()); err != nil {
		return nil, errors.Join(err, c.Delete())
	}
	return m, nil
}

// NewMembers brings up several clusters at once; all or none.
func NewMembers(ctx context.Context, options cluster.Options, names ...string) ([]*Member, error) {
	members := make([]*Member, len(names))
	failures := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { members[i], failures[i] = NewMember(ctx, name, options) })
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		for _, m := range members {
			if m != nil {
				err = errors.Join(err, m.Delete())
			}
		}
		return nil, err
	}
	return members, nil
}

// Join makes the member join the hub under its own name, as a user does.
func Join(ctx context.Context, hub *Hub, member *Member, flags ...string) error {
	arguments := append([]string{"join", member.Name(), "--cluster-kubeconfig", member.Kubeconfig()}, flags...)
	r, err := hub.Hanse(ctx, arguments...)
	if err == nil && r.Code != 0 {
		err = errors.New(r.String())
	}
	if err != nil {
		return fmt.Errorf("joining %s: %w", member.Name(), err)
	}
	return nil
}

// JoinAll makes all members join at once.
func JoinAll(ctx context.Context, hub *Hub, members []*Member, flags ...string) error {
	failures := make([]error, len(members))
	var group sync.WaitGroup
	for i, m := range members {
		group.Go(func() { failures[i] = Join(ctx, hub, m, flags...) })
	}
	group.Wait()
	return errors.Join(failures...)
}
