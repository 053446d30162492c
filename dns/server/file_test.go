package server

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/zone"
)

// TestSnapshotFile: a server started from the file gives the same octets as the one that saved it; a damaged file is not taken.
func TestSnapshotFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	if _, err := LoadSnapshot(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	first := testResponder(t, fuzzZone(t))
	for range 2 {
		if err := SaveSnapshot(path, first.store.Snapshot()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := LoadSnapshot(path)
	if err != nil {
		t.Fatal(err)
	}
	second := testResponder(t, c)
	names := 0
	for name := range first.store.Snapshot().Trees()[0].Names {
		names++
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeMX, dns.TypeSOA, dns.TypeCNAME, dns.TypeHTTPS} {
			packet := packed(t, name.String(), qtype, true)
			var a, b dns.Msg
			if a.Unpack(first.respond(nil, packet, client, overTCP)) != nil || b.Unpack(second.respond(nil, packet, client, overTCP)) != nil {
				t.Fatal("a response cannot be read")
			}
			isDrawn := strings.HasSuffix(name.String(), "app.c.test.") || name.String() == "cloud.c.test." // may come out differently
			if !isDrawn && a.String() != b.String() {
				t.Errorf("%s\n%s", &a, &b)
			}
		}
	}
	if names < 20 {
		t.Errorf("only %d names", names)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSnapshot(path); !errors.Is(err, zone.ErrDamaged) {
		t.Errorf("a damaged file: %v", err)
	}
	if err := SaveSnapshot(filepath.Join(path, "below-a-file"), first.store.Snapshot()); err == nil {
		t.Error("saved where nothing can be")
	}
}
