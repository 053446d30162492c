package acks

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestLag(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	servers := []Server{
		{Name: "has-it", Serial: 7, Renewed: now, IsRunning: true},
		{Name: "has-more", Serial: 8, Renewed: now, IsRunning: true},
		{Name: "late", Serial: 6, Renewed: now, IsRunning: true},
		{Name: "just-started", Serial: 0, Renewed: now, IsRunning: true},
		{Name: "silent", Serial: 6, Renewed: now.Add(-time.Minute), IsRunning: true},
		{Name: "silent-for-long", Serial: 6, Renewed: now.Add(-Forgotten), IsRunning: true},
		{Name: "ended", Serial: 6, Renewed: now},
	}
	want := []string{"just-started", "late", "silent"}
	if got := Lag(servers, 7, now); !slices.Equal(want, got) {
		t.Errorf("%v, want %v", got, want)
	}
	wrapped := []Server{{Name: "beyond", Serial: 3, Renewed: now, IsRunning: true}}
	if got := Lag(wrapped, 0xfffffff0, now); got != nil {
		t.Errorf("a serial that wrapped around is taken for an old one: %v", got)
	}
}

func TestReporterTellsSerialAndEnd(t *testing.T) {
	leases := fake.NewClientset().CoordinationV1().Leases(Namespace)
	var serial atomic.Uint32
	var changed atomic.Pointer[chan struct{}]
	renew := func() { c := make(chan struct{}); changed.Store(&c) }
	renew()
	r := &Reporter{
		Leases: leases, Name: "east-dns", Addresses: []string{"10.0.0.1:53", "[::1]:53"}, Version: "v1",
		Serial: serial.Load, Changed: func() <-chan struct{} { return *changed.Load() },
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	told := func(what string, is func(Server) bool) {
		t.Helper()
		var last Server
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			lease, err := leases.Get(t.Context(), "east-dns", metav1.GetOptions{})
			if err != nil {
				continue
			}
			if s, ok := ServerOf(lease); ok && is(s) {
				return
			} else {
				last = s
			}
		}
		t.Fatalf("%s: it tells %+v", what, last)
	}
	told("before it has anything", func(s Server) bool {
		return s.IsRunning && s.Serial == 0 && len(s.Addresses) == 2 && s.Version == "v1" && !s.Renewed.IsZero()
	})
	serial.Store(12)
	before := *changed.Load()
	renew()
	close(before)
	told("serial 12", func(s Server) bool { return s.Serial == 12 })
	// Somebody else's write does not shut it up.
	lease, err := leases.Get(t.Context(), "east-dns", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lease.Annotations["note"] = "mine"
	if _, err := leases.Update(t.Context(), lease, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	told("the end", func(s Server) bool { return !s.IsRunning && s.Serial == 12 })
}

func TestServerOfLeavesOthersAlone(t *testing.T) {
	for what, lease := range map[string]*coordinationv1.Lease{
		"no serial": {ObjectMeta: metav1.ObjectMeta{Namespace: Namespace}},
		"no number": {ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Annotations: map[string]string{SerialAnnotation: "x"}}},
		"too large": {ObjectMeta: metav1.ObjectMeta{Namespace: Namespace,
			Annotations: map[string]string{SerialAnnotation: "4294967296"}}},
		"elsewhere": {ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Annotations: map[string]string{SerialAnnotation: "7"}}},
	} {
		if s, ok := ServerOf(lease); ok {
			t.Errorf("%s: %+v", what, s)
		}
	}
}
