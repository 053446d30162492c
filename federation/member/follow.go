package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

const (
	// A kind that cannot be followed is tried again after these times, doubling. A member that comes back ends the
	// wait.
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
	// settled is how long it must have gone well for the next trouble to count as the first.
	settled = time.Minute
)

// brief is the reflector's own backoff, for a watch that it begins again by itself.
var brief = wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 4, Cap: 2 * time.Second}

// followed is a resource of a member that is listed and watched into a store for as long as ctx lives.
type followed struct {
	what  string // for messages, such as "nodes"
	gate  *gate
	clock clock.WithTicker
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)

	// budget and holding are the member's; report hears that there is too much of what is followed, nil that there is
	// not any more.
	budget  *budget
	holding *holding
	report  func(what string, err *TooMuchError)
	store   *bounded
	// pageSize of lists; 0 as the server gives them. It shrinks while pages are too large.
	pageSize int64

	mu      sync.Mutex
	err     error
	tooMuch *TooMuchError // why the present round ended
	changed func(error)
	// restart ends the list and watch that are under way; nil when there are none.
	restart context.CancelFunc
}

// again begins with a list anew.
func (f *followed) again() {
	f.mu.Lock()
	restart := f.restart
	f.mu.Unlock()
	if restart != nil {
		restart()
	}
}

// round lists and watches until it fails, or is to begin again.
func (f *followed) round(ctx context.Context, reflector *cache.Reflector) (isRestart bool) {
	round, end := context.WithCancel(ctx)
	defer end()
	f.mu.Lock()
	f.restart, f.tooMuch = end, nil
	f.mu.Unlock()
	_ = reflector.ListAndWatchWithContext(round) // f.err has it
	f.mu.Lock()
	defer f.mu.Unlock()
	return round.Err() != nil && ctx.Err() == nil && f.tooMuch == nil
}

// refuse ends the list and watch under way, since they bring too much. What was kept before stays.
func (f *followed) refuse(err *TooMuchError) {
	f.mu.Lock()
	isFirst := f.tooMuch == nil
	f.tooMuch = err
	f.mu.Unlock()
	if isFirst {
		f.set(context.Background(), err)
		f.report(f.what, err)
	}
	f.again()
}

// accept is told when a whole list was taken in.
func (f *followed) accept() { f.report(f.what, nil) }

// run lists and watches. expected is a value of the type that comes, nil for any.
func (f *followed) run(ctx context.Context, expected any, store small) {
	f.store = &bounded{store: store, what: f.what, holding: f.holding, refuse: f.refuse, accept: f.accept}
	quiet := logr.FromSlogHandler(slog.DiscardHandler) // trouble is told by err, once
	source := &cache.ListWatch{ListWithContextFunc: f.listOnce, WatchFuncWithContext: f.watchOnce}
	reflector := cache.NewReflectorWithOptions(source, expected, f.store, cache.ReflectorOptions{
		Logger: &quiet, Name: f.what, TypeDescription: f.what, Backoff: &brief, Clock: f.clock,
	})
	ctx = logr.NewContext(ctx, quiet)
	for retry := firstRetry; f.gate.wait(ctx) == nil; {
		back, began := f.gate.reopened(), f.clock.Now()
		if f.round(ctx, reflector) {
			continue
		}
		if f.clock.Since(began) > settled {
			retry = firstRetry
		}
		timer := f.clock.NewTimer(wait.Jitter(retry, 0.2))
		select {
		case <-ctx.Done():
		case <-back:
			retry = firstRetry
		case <-timer.C():
			retry = min(2*retry, lastRetry)
		}
		timer.Stop()
	}
}

func (f *followed) listOnce(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	if err := f.gate.wait(ctx); err != nil {
		return nil, err
	}
	list, err := f.onePage(ctx, o)
	f.set(ctx, err)
	return list, err
}

// pages are tried in these sizes.
const (
	firstPage = 256
	leastPage = 1
)

// onePage lists, in pages if the whole is too much for the bounds of one answer, and in smaller ones if a page is.
func (f *followed) onePage(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	if o.Continue == "" {
		f.store.begin()
	}
	for {
		if f.pageSize > 0 {
			o.Limit = f.pageSize
			o.ResourceVersion, o.ResourceVersionMatch = "", "" // a list from the server's cache knows no pages
		}
		list, err := f.readPage(ctx, o)
		switch {
		case !errors.Is(err, ErrTooLarge):
			return list, err
		case f.pageSize == leastPage:
			f.refuse(&TooMuchError{What: fmt.Sprintf("one of the %s: %v", f.what, ownWords(err))})
			return nil, err
		case f.pageSize == 0:
			f.pageSize = firstPage
		default:
			f.pageSize = max(leastPage, f.pageSize/4)
		}
	}
}

// ownWords is what an answer that is too large is told with, without what client-go puts before it.
func ownWords(err error) error {
	for inner := errors.Unwrap(err); errors.Is(errors.Unwrap(inner), ErrTooLarge); inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// readPage reads one page and makes it small before the next large answer is read.
func (f *followed) readPage(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	share := &lease{budget: f.budget, fault: func(*TooMuchError) {}}
	defer share.release()
	list, err := f.list(withLease(ctx, share), o)
	if err != nil {
		return nil, err
	}
	return f.store.page(list)
}

func (f *followed) watchOnce(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	if err := f.gate.wait(ctx); err != nil {
		return nil, err
	}
	if o.SendInitialEvents != nil && *o.SendInitialEvents {
		f.store.begin()
	}
	share := &lease{budget: f.budget, fault: func(err *TooMuchError) { f.refuse(err.of(f.what)) }}
	w, err := f.watch(withLease(ctx, share), o)
	f.set(ctx, err)
	return w, err
}

func (f *followed) set(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		err = fmt.Errorf("follow %s: %w", f.what, err)
	}
	f.mu.Lock()
	changed := (err == nil) != (f.err == nil) || (err != nil && err.Error() != f.err.Error())
	f.err = err
	f.mu.Unlock()
	if changed && f.changed != nil {
		f.changed(err)
	}
}

func (f *followed) lastErr() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
