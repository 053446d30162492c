package storage

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapTo makes the logger etcd wants out of ours. etcd tells its whole life at level info, so only warnings and worse
// pass.
func zapTo(log *slog.Logger) *zap.Logger {
	return zap.New(zapCore{log.With("part", "etcd")})
}

// expected are messages about what is right here: the socket is in a folder of its owner's, etcd's own authentication
// is not used, and listeners end when etcd is closed (at a start, OpenEmbedded returns the same failure as its error).
var expected = []string{
	"Running http and grpc server on single port. This is not recommended for production.",
	"simple token is not cryptographically signed",
	"setting up serving from embedded etcd failed.",
	"stopping insecure grpc server due to error",
	"stopped insecure grpc server due to error",
}

// zapCore hands zap entries to slog.
type zapCore struct{ log *slog.Logger }

func (c zapCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }
func (c zapCore) Sync() error                      { return nil }

func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{c.log.With(attributes(fields)...)}
}

func (c zapCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) || slices.Contains(expected, entry.Message) {
		return checked
	}
	return checked.AddCore(entry, c)
}

// beforeFirstTerm ends the error with which a new database has no storage version yet; etcd looks again by itself.
const beforeFirstTerm = "missing term information"

func (c zapCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	isExpected := func(field zapcore.Field) bool {
		err, ok := field.Interface.(error)
		return ok && strings.HasSuffix(err.Error(), beforeFirstTerm)
	}
	if slices.ContainsFunc(fields, isExpected) {
		return nil
	}
	level := slog.LevelWarn
	if entry.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, entry.Message, attributes(fields)...)
	return nil
}

func attributes(fields []zapcore.Field) []any {
	encoded := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(encoded)
	}
	out := make([]any, 0, len(encoded.Fields))
	for key, value := range encoded.Fields {
		out = append(out, slog.Any(key, value))
	}
	return out
}
