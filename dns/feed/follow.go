package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hanse-federation/hanse/dns/zone"
)

// Errors of Follow.
var (
	// ErrRefused: the maker does not let this follower in. Asking again helps only after somebody has changed that.
	ErrRefused = errors.New("is refused")
	// ErrSilent: nothing came for Silence.
	ErrSilent = errors.New("nothing was heard for too long")
	// ErrFormat: the maker speaks a version of the messages that this program does not know.
	ErrFormat = errors.New("speaks another version; run the same version of this program as there")
)

// Follower fills a store from a feed.
type Follower struct {
	// URL of the feed.
	URL string
	// Client asks it; it must have no timeout.
	Client *http.Client
	// Store is filled.
	Store *zone.Store
	// Now is the clock.
	Now func() time.Time

	heard  atomic.Int64  // when the last message came, in Unix nanoseconds
	asOf   atomic.Int64  // when what the store has was last known to hold, likewise
	serial atomic.Uint32 // the maker's
}

// Serial of the maker that the store has. 0: none yet.
func (f *Follower) Serial() uint32 { return f.serial.Load() }

// Heard is when the last message came; the zero time: none yet.
func (f *Follower) Heard() time.Time { return timeOf(&f.heard) }

// AsOf is when the maker last knew that what the store has holds; the zero time: not yet. It is the time of the last
// message, less the age that the maker gave, so that the two clocks need not agree.
func (f *Follower) AsOf() time.Time { return timeOf(&f.asOf) }

func timeOf(nanos *atomic.Int64) time.Time {
	if at := nanos.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Follow reads the feed once, until it ends or the context does. The error says why it ended; it is never nil.
func (f *Follower) Follow(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(Silence, func() { cancel(ErrSilent) })
	defer silence.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return fmt.Errorf("asking for DNS snapshots: %w", err)
	}
	response, err := f.Client.Do(req)
	if err != nil {
		return fmt.Errorf("asking for DNS snapshots: %w", cause(ctx, err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		err := fmt.Errorf("asking for DNS snapshots: %s: %s", response.Status, strings.TrimSpace(string(said)))
		if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden {
			err = fmt.Errorf("%w: %w", err, ErrRefused)
		}
		return err
	}
	messages := json.NewDecoder(response.Body)
	for isFirst := true; ; isFirst = false {
		var m Message
		if err := messages.Decode(&m); err != nil {
			return fmt.Errorf("reading DNS snapshots: %w", cause(ctx, err))
		}
		if isFirst && m.Format != Format {
			return fmt.Errorf("reading DNS snapshots: the hub %w", ErrFormat)
		}
		silence.Reset(Silence)
		if err := f.apply(m); err != nil {
			return fmt.Errorf("taking over DNS snapshot %d: %w", m.Serial, err)
		}
		now := f.Now()
		f.heard.Store(now.UnixNano())
		if m.Age >= 0 {
			f.asOf.Store(now.Add(-time.Duration(m.Age) * time.Millisecond).UnixNano())
		}
	}
}

// cause is why a context ended rather than what that did to a read.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// apply makes the store be what a message says.
func (f *Follower) apply(m Message) error {
	var err error
	switch {
	case m.Config != nil:
		c := *m.Config
		c.Serial = f.grown(c.Serial)
		err = f.Store.Set(c)
	case len(m.Changes) > 0:
		err = f.Store.Update(f.grown(m.Serial), m.Changes...)
	}
	if err == nil {
		f.serial.Store(m.Serial)
	}
	return err
}

// grown is the serial under which the store takes what the maker calls serial.
func (f *Follower) grown(serial uint32) uint32 {
	published := f.Store.Snapshot()
	if published == nil || int32(serial-published.Serial()) >= 0 {
		return serial
	}
	return max(published.Serial()+1, 1) // RFC 1982: the one after the highest is 0, which means none
}
