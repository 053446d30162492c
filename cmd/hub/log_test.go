package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/hanse-federation/hanse/api/printable"
)

// The words of members and tenants reach no log raw, and JSON stays JSON.
func TestLogsAreSafeToShow(t *testing.T) {
	const evil = "\x1b[2J\x1b]0;PWNED\a \u009b31m \u202e\r\nlevel=ERROR msg=faked"
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		logger, err := newLogger(&out, format, "info")
		if err != nil {
			t.Fatal(err)
		}
		logger.With("member", evil).Info(evil, "err", errors.New(evil), evil, []string{evil})
		said := out.Bytes()
		if printable.Text(string(said)) != string(said) || bytes.Count(said, []byte("\n")) != 1 {
			t.Errorf("%s: %q", format, said)
		}
		var line map[string]any
		if format == "json" {
			if err := json.Unmarshal(said, &line); err != nil || line["err"] != evil {
				t.Errorf("%v, %q", err, line["err"])
			}
		}
	}
}
