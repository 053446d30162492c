package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// goal is what is waited for in every member: so many objects of a kind that are right, no more and no fewer.
type goal struct {
	gvr     schema.GroupVersionResource
	isRight func(member string, obj *unstructured.Unstructured) bool
	count   int
	// before is how many there are at first, if it is known; what is timed does not begin before they have been seen.
	before int
}

func anyObject(string, *unstructured.Unstructured) bool { return true }

func saying(text string) func(string, *unstructured.Unstructured) bool {
	return func(_ string, obj *unstructured.Unstructured) bool { return says(obj) == text }
}

// goals of everything that the wave makes: the ConfigMaps and the Deployments that are right.
func (b *bench) goals(isRight func(string, *unstructured.Unstructured) bool) []goal {
	return []goal{
		{gvr: configMaps, isRight: isRight, count: b.size},
		{gvr: deployments, isRight: isRight, count: b.deployments()},
	}
}

// nothing is done by who only waits for goals.
func nothing(context.Context) error { return nil }

// patience bounds every wait.
const patience = 3 * time.Minute

// timed does something and tells how long it took from its begin until all members have reached the goals.
func timed(
	ctx context.Context, members []*harness.Member, namespace string, goals []goal, do func(context.Context) error,
) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all []*copies
	for _, m := range members {
		for _, g := range goals {
			c, err := watchCopies(ctx, m, namespace, g)
			if err != nil {
				return 0, err
			}
			if g.before > 0 {
				if err := c.await(ctx, g.before); err != nil {
					return 0, err
				}
			}
			all = append(all, c)
		}
	}
	began := time.Now()
	if err := do(ctx); err != nil {
		return 0, err
	}
	for _, c := range all {
		if err := c.await(ctx, c.goal.count); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// copies are the objects of one kind in a namespace of a member that are right.
type copies struct {
	member string
	goal   goal

	mu    sync.Mutex
	right map[string]bool
	news  chan struct{}
}

// watchCopies watches until the context ends.
func watchCopies(ctx context.Context, m *harness.Member, namespace string, g goal) (*copies, error) {
	c := &copies{member: m.Name(), goal: g, right: map[string]bool{}, news: make(chan struct{}, 1)}
	watch, err := m.Dynamic.Resource(g.gvr).Namespace(namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("watching %s of %s: %w", g.gvr.Resource, m.Name(), err)
	}
	go func() {
		for event := range watch.ResultChan() {
			if obj, ok := event.Object.(*unstructured.Unstructured); ok && obj.GetName() != "kube-root-ca.crt" {
				c.set(obj.GetName(), event.Type != "DELETED" && g.isRight(m.Name(), obj))
			}
		}
	}()
	return c, nil
}

func (c *copies) set(name string, isRight bool) {
	c.mu.Lock()
	if isRight {
		c.right[name] = true
	} else {
		delete(c.right, name)
	}
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// await waits for so many right ones.
func (c *copies) await(ctx context.Context, count int) error {
	for {
		c.mu.Lock()
		have := len(c.right)
		c.mu.Unlock()
		if have == count {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d %s are right, want %d: %w", c.member, have, c.goal.gvr.Resource, count, ctx.Err())
		case <-c.news:
		case <-time.After(time.Second):
		}
	}
}

// atOnce does something in all members at once.
func atOnce(ctx context.Context, members []*harness.Member, do func(context.Context, *harness.Member) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range members {
		group.Go(func() error { return do(ctx, m) })
	}
	return group.Wait()
}
