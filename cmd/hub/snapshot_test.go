package hub_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// TestRestartAnswersAtOnce: a hub that starts answers from its last snapshot before it has read its store, whatever
// became of the one before.
func TestRestartAnswersAtOnce(t *testing.T) {
	dir := t.TempDir()
	h, err := newHub(t, dir, "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	r := clientOf(t, h, dir)
	z := &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "restart.test"}}
	z.Spec.Records = []v1alpha1.Record{{Name: "www", Type: "A", Values: []string{"192.0.2.7"}}}
	if err := r.Create(t.Context(), z); err != nil {
		t.Fatal(err)
	}
	ask := func(address string) (*dns.Msg, error) {
		m := new(dns.Msg)
		m.SetQuestion("www.restart.test.", dns.TypeA)
		c := dns.Client{Timeout: 2 * time.Second}
		reply, _, err := c.ExchangeContext(t.Context(), m, address)
		return reply, err
	}
	until(t, "the hub answers", func() bool {
		reply, err := ask(h.DNSAddr())
		return err == nil && len(reply.Answer) == 1
	})
	file := filepath.Join(dir, "dns", "snapshot")
	until(t, "the snapshot is on disk", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 0
	})
	end()
	if err := errors.Join(<-ended, h.Close()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the snapshot on disk has secrets in it and the mode %v (%v)", info.Mode(), err)
	}
	next, err := newHub(t, dir, "127.0.0.1:0", "127.0.0.1:0") // is not run: it has read nothing
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	reply, err := ask(next.DNSAddr())
	if err != nil || reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
		t.Errorf("a hub that starts answers %v (%v)", reply, err)
	}
}

// until waits for something that comes.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}
