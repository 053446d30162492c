package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// readiness is what one look at the members' API servers saw of a Deployment: ready replicas by member. A member whose
// API server does not answer is not in it.
type readiness map[string]int32

func (r readiness) sum() (sum int32) {
	for _, ready := range r {
		sum += ready
	}
	return sum
}

func (r readiness) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		parts = append(parts, fmt.Sprintf("%s=%d", name, r[name]))
	}
	return fmt.Sprintf("%d (%s)", r.sum(), strings.Join(parts, " "))
}

// fell says how the ready replicas that can be reached fell below what is wanted, between two looks: of the members that
// answered both times, as what became of the others is nobody's doing here. Empty if they did not.
func fell(before, after readiness, wanted int32) string {
	var had, has int32
	for name, ready := range before {
		if now, answers := after[name]; answers {
			had, has = had+ready, has+now
		}
	}
	for name, ready := range after {
		if _, answered := before[name]; !answered {
			had, has = had+ready, has+ready
		}
	}
	if floor := min(wanted, had); has < floor {
		return fmt.Sprintf("%s, then %s: below %d", before, after, floor)
	}
	return ""
}

func TestFell(t *testing.T) {
	for _, row := range []struct {
		what          string
		before, after readiness
		wanted        int32
		falls         bool
	}{
		{"at rest", readiness{"a": 6, "b": 6}, readiness{"a": 6, "b": 6}, 12, false},
		{"moved with successors first", readiness{"a": 8, "b": 6}, readiness{"a": 8, "b": 4}, 12, false},
		{"taken away", readiness{"a": 6, "b": 6}, readiness{"a": 6, "b": 0}, 12, true},
		{"taken away where too few were", readiness{"a": 6, "b": 2}, readiness{"a": 6, "b": 1}, 12, true},
		{"a member does not answer", readiness{"a": 6, "b": 6}, readiness{"a": 6}, 12, false},
		{"and its successors are lost", readiness{"a": 6, "b": 6}, readiness{"a": 5}, 12, true},
		{"a member answers again with fewer", readiness{"a": 6}, readiness{"a": 6, "b": 1}, 12, false},
		{"scaled down", readiness{"a": 6, "b": 6}, readiness{"a": 3, "b": 3}, 6, false},
	} {
		if text := fell(row.before, row.after, row.wanted); (text != "") != row.falls {
			t.Errorf("%s: %q", row.what, text)
		}
	}
}

// lookPause is between two looks of a judge.
const lookPause = 200 * time.Millisecond

// judgeReady asserts until the returned function is called that the hub takes no ready replica of a Deployment away
// before its successor is ready. It reads the members' API servers, and nothing of what the hub says. Nothing may happen
// to the pods but by the hub; and what is wanted does not change meanwhile.
func (s *scenario) judgeReady(name string, wanted int32) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		begin, before := time.Now(), s.readiness(ctx, name)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(lookPause):
			}
			after := s.readiness(ctx, name)
			if ctx.Err() != nil {
				return
			}
			if text := fell(before, after, wanted); text != "" {
				s.Errorf("after %s the ready replicas of %s fell: %s", time.Since(begin).Round(time.Millisecond), name, text)
			}
			if !maps.Equal(before, after) {
				s.Logf("%5.1fs ready %s", time.Since(begin).Seconds(), after)
			}
			before = after
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// readiness looks at all members.
func (s *scenario) readiness(ctx context.Context, name string) readiness {
	seen := readiness{}
	for _, m := range s.members {
		once, cancel := context.WithTimeout(ctx, 5*time.Second)
		d := &appsv1.Deployment{}
		err := m.Client.Get(once, client.ObjectKey{Namespace: s.ns, Name: name}, d)
		cancel()
		if client.IgnoreNotFound(err) == nil {
			seen[m.Name()] = d.Status.ReadyReplicas
		}
	}
	return seen
}

// startsSlowly is a Deployment whose pods become ready a while after they have a node.
func startsSlowly(name string, replicas int, after time.Duration) string {
	return strings.Replace(deployment(name, replicas), "metadata: {labels: {app: "+name+"}}",
		fmt.Sprintf("metadata: {labels: {app: %s}, annotations: {e2e.hanse.io/start: %s}}", name, after), 1)
}

// linked is a federation of its own whose members run pods and are reached over links.
func linked(t *testing.T, names ...string) (*scenario, map[string]*harness.Link) {
	t.Helper()
	s := own(t, harness.HubOptions{})
	members, err := harness.NewMembers(t.Context(), runsPods, names...)
	s.must(err)
	s.members = members
	links := map[string]*harness.Link{}
	for _, m := range members {
		t.Cleanup(func() { _ = m.Delete() })
		link, err := harness.JoinOver(t.Context(), s.hub, m)
		s.must(err)
		t.Cleanup(func() { _ = link.Close() })
		links[m.Name()] = link
	}
	s.awaitMembers()
	return s, links
}
