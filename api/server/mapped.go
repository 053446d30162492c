package server

import (
	"sync"

	"k8s.io/apimachinery/pkg/watch"
)

// mapped is a watch whose events are changed on their way. Unlike watch.Filter it ends when it is stopped, also with an
// event on the way that nobody takes.
type mapped struct {
	source watch.Interface
	change func(watch.Event) watch.Event
	out    chan watch.Event
	done   chan struct{}
	once   sync.Once
}

func mapEvents(source watch.Interface, change func(watch.Event) watch.Event) watch.Interface {
	m := &mapped{source: source, change: change, out: make(chan watch.Event), done: make(chan struct{})}
	go m.run()
	return m
}

func (m *mapped) run() {
	defer close(m.out)
	for event := range m.source.ResultChan() {
		select {
		case m.out <- m.change(event):
		case <-m.done:
			return
		}
	}
}

// ResultChan implements watch.Interface.
func (m *mapped) ResultChan() <-chan watch.Event { return m.out }

// Stop implements watch.Interface.
func (m *mapped) Stop() {
	m.once.Do(func() {
		close(m.done)
		m.source.Stop()
	})
}
