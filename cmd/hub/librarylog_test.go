package hub

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
)

// What libraries say of themselves is for debugging; their warnings are for everybody.
func TestLibraryLog(t *testing.T) {
	for _, c := range []struct {
		level      slog.Level
		isStopping bool
		want       string
	}{
		{slog.LevelInfo, false, "WARN refused,ERROR broken"},
		{slog.LevelDebug, false, "DEBUG detail,DEBUG Starting workers,WARN refused,ERROR broken"},
		{slog.LevelError, false, "ERROR broken"},
		{slog.LevelInfo, true, ""},
		{slog.LevelDebug, true, "DEBUG detail,DEBUG Starting workers,DEBUG refused,DEBUG broken"},
	} {
		var isStopping atomic.Bool
		isStopping.Store(c.isStopping)
		var out bytes.Buffer
		logger := slog.New(libraryHandler{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: c.level,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			}}), &isStopping}).With("part", "library")
		logger.Debug("detail")
		logger.Info("Starting workers")
		logger.Warn("refused")
		logger.Error("broken")
		var got []string
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(strings.TrimSpace(line), " part=library")
			level, message, _ := strings.Cut(strings.TrimPrefix(line, "level="), " msg=")
			got = append(got, level+" "+strings.Trim(message, `"`))
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("at %s, stopping %t: %q, want %q", c.level, c.isStopping, got, c.want)
		}
	}
}
