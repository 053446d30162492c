package member

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// Fleet holds the connections. Make one with NewFleet.
type Fleet struct {
	ctx     context.Context
	options Options

	mu      sync.RWMutex
	members map[Name]*entry
	joined  []func(context.Context, *Member)
	changed []func(Name)
}

// entry is one connection with the life that it was given.
type entry struct {
	member *Member
	ctx    context.Context
	end    context.CancelFunc
}

// NewFleet returns an empty fleet whose connections end with the context at the latest. The OnChange of the options is
// the fleet's own.
func NewFleet(ctx context.Context, options Options) *Fleet {
	f := &Fleet{ctx: ctx, options: options, members: map[Name]*entry{}}
	f.options.OnChange = f.notify
	return f
}

// OnJoin calls joined for every new connection, with the context of its life. It must be called before the first
// Keep.
func (f *Fleet) OnJoin(joined func(context.Context, *Member)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.joined = append(f.joined, joined)
}

// OnChange calls changed after a member came, changed its state, or went.
func (f *Fleet) OnChange(changed func(Name)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed = append(f.changed, changed)
}

// Keep connects to a member, or gives a connection that exists a new address or credentials.
func (f *Fleet) Keep(spec Spec) {
	f.mu.Lock()
	if known, ok := f.members[spec.Name]; ok {
		f.mu.Unlock()
		known.member.Update(spec)
		return
	}
	ctx, end := context.WithCancel(f.ctx)
	added := &entry{member: Connect(ctx, spec, f.options), ctx: ctx, end: end}
	f.members[spec.Name] = added
	joined := slices.Clone(f.joined)
	f.mu.Unlock()
	for _, tell := range joined {
		tell(ctx, added.member)
	}
	f.notify(spec.Name)
}

// Drop ends a connection.
func (f *Fleet) Drop(name Name) {
	f.mu.Lock()
	known, ok := f.members[name]
	delete(f.members, name)
	f.mu.Unlock()
	if !ok {
		return
	}
	known.end()
	f.notify(name)
}

// Get looks up a connection.
func (f *Fleet) Get(name Name) (*Member, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	known, ok := f.members[name]
	if !ok {
		return nil, false
	}
	return known.member, true
}

// Members lists the connections by name.
func (f *Fleet) Members() []*Member {
	f.mu.RLock()
	all := make([]*Member, 0, len(f.members))
	for _, known := range f.members {
		all = append(all, known.member)
	}
	f.mu.RUnlock()
	slices.SortFunc(all, func(a, b *Member) int { return strings.Compare(string(a.Name()), string(b.Name())) })
	return all
}

func (f *Fleet) notify(name Name) {
	f.mu.RLock()
	changed := slices.Clone(f.changed)
	f.mu.RUnlock()
	for _, tell := range changed {
		tell(name)
	}
}
