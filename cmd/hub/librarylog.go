package hub

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// speakThrough sends the libraries' logs to the hub's logger. Libraries keep one logger a process.
func (h *Hub) speakThrough(logger *slog.Logger) {
	handler := libraryHandler{logger.Handler(), &h.isStopping}
	klog.SetSlogLogger(slog.New(handler))
	ctrl.SetLogger(logr.FromSlogHandler(handler))
}

// libraryHandler writes at debug what libraries log at info: what their parts start, wait for and stop. An operator who
// reads the log at info sees what the hub does, and the libraries' warnings and errors. While the hub stops everything
// goes to debug: client-go and controller-runtime log the end of their context as an error.
type libraryHandler struct {
	next       slog.Handler
	isStopping *atomic.Bool
}

var _ slog.Handler = libraryHandler{}

// Enabled implements slog.Handler.
func (h libraryHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, h.level(level))
}

// Handle implements slog.Handler.
func (h libraryHandler) Handle(ctx context.Context, record slog.Record) error {
	record.Level = h.level(record.Level)
	if !h.next.Enabled(ctx, record.Level) {
		return nil // the hub was told to stop between the two calls
	}
	return h.next.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h libraryHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return libraryHandler{h.next.WithAttrs(attributes), h.isStopping}
}

// WithGroup implements slog.Handler.
func (h libraryHandler) WithGroup(name string) slog.Handler {
	return libraryHandler{h.next.WithGroup(name), h.isStopping}
}

func (h libraryHandler) level(level slog.Level) slog.Level {
	if level < slog.LevelWarn || h.isStopping.Load() {
		return min(level, slog.LevelDebug)
	}
	return level
}
