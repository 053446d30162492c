package cli

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// followPause comes between two looks for pods that have come since.
const followPause = 2 * time.Second

// follower reads the logs of an object's pods as they are written, also of those that come later.
type follower struct {
	hub     *hubAPI
	object  object
	request logsRequest
	out     *lineWriter
	errs    io.Writer

	mu     sync.Mutex
	begun  map[string]bool      // containers that are read, or were to their end
	broken map[string]time.Time // containers whose log broke off, and when
	told   map[string]string    // what was last said of whom
	active sync.WaitGroup
	reads  int // going on
}

// followLogs reads until the context ends, or everything has ended that could write.
func followLogs(c *cobra.Command, h *hubAPI, o object, req logsRequest) error {
	f := &follower{hub: h, object: o, request: req, out: &lineWriter{w: rawOf(c.OutOrStdout()), isRaw: req.raw}, errs: c.ErrOrStderr(),
		begun: map[string]bool{}, broken: map[string]time.Time{}, told: map[string]string{}}
	ctx := c.Context()
	for first := true; ctx.Err() == nil; first = false {
		isOver, err := f.look(ctx, first, c.Flags().Changed("tail"))
		switch {
		case err != nil && first:
			return err
		case err != nil && ctx.Err() == nil:
			f.tell(o.String(), err)
		}
		if isOver {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(followPause):
		}
	}
	f.active.Wait()
	return nil
}

// look begins to read what is new; it is over when nothing writes any more and nothing will.
func (f *follower) look(ctx context.Context, isFirst, isTailGiven bool) (isOver bool, err error) {
	names, err := f.hub.where(ctx, f.object, f.request.clusters)
	if err != nil {
		return false, err
	}
	sources, silent, err := f.hub.logSources(ctx, names, f.object, f.request)
	if err != nil {
		return false, err
	}
	isPod := f.object.mapping.GroupVersionKind.GroupKind() == podKind
	isNowhere := len(names) > 0 && len(silent) == len(names)
	switch {
	case isNowhere && isFirst:
		return false, outcomeOf(f.errs, len(names), silent)
	case isNowhere && isPod && allNotFound(silent):
		return f.reading() == 0, nil
	}
	for _, s := range silent {
		f.tell(s.cluster, s.err)
	}
	if isNowhere {
		return false, nil
	}
	isEnding := len(sources) > 0 && len(silent) == 0
	if isFirst && len(sources) == 0 {
		_, _ = fmt.Fprintf(f.errs, "%s has no pods yet; waiting for them\n", f.object)
	}
	for _, s := range sources {
		if !isPod {
			s.prefix = prefixOf(s, f.request.all)
		}
		isEnding = isEnding && hasEnded(s.pod)
		f.begin(ctx, s, f.optionsOf(isFirst, isTailGiven, len(sources)))
	}
	return isEnding && f.reading() == 0, nil
}

// optionsOf shows what was asked for of the pods that are there at first, and all of those that come later.
func (f *follower) optionsOf(isFirst, isTailGiven bool, sources int) corev1.PodLogOptions {
	options := f.request.options
	if isFirst {
		options = f.request.podOptions(sources, isTailGiven)
	}
	options.Follow = true
	return options
}

// begin reads one container, if that is not done already and it has something to say.
func (f *follower) begin(ctx context.Context, s logSource, options corev1.PodLogOptions) {
	run, hasStarted := runOf(s)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !hasStarted || f.begun[run] {
		return
	}
	if at, broke := f.broken[run]; broke {
		options.TailLines, options.SinceSeconds, options.SinceTime = nil, nil, &metav1.Time{Time: at}
	}
	f.begun[run] = true
	f.reads++
	f.active.Go(func() {
		err := f.hub.readLog(ctx, s, options, f.out)
		f.mu.Lock()
		f.reads--
		if err != nil {
			f.begun[run], f.broken[run] = false, time.Now()
		}
		f.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			f.tell(s.cluster+"/"+s.pod.Name, err)
		}
	})
}

func (f *follower) reading() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// tell says what is wrong with somebody, unless that was the last that was said.
func (f *follower) tell(who string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if reason := reasonOf(err); f.told[who] != reason {
		f.told[who] = reason
		_, _ = fmt.Fprintf(f.errs, "%s: %s\n", who, reason)
	}
}

// runOf names one run of a container, from its start to its end; false when it has not started.
func runOf(s logSource) (run string, hasStarted bool) {
	for _, list := range [][]corev1.ContainerStatus{s.pod.Status.InitContainerStatuses, s.pod.Status.ContainerStatuses} {
		for _, c := range list {
			if c.Name == s.container {
				hasStarted = c.State.Running != nil || c.State.Terminated != nil
				return fmt.Sprintf("%s/%s/%s/%d", s.cluster, s.pod.UID, s.container, c.RestartCount), hasStarted
			}
		}
	}
	return "", false
}

// hasEnded reports whether a pod writes nothing any more.
func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func allNotFound(silent []silence) bool {
	for _, s := range silent {
		if !apierrors.IsNotFound(s.err) {
			return false
		}
	}
	return true
}
