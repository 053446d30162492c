package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// cpu is what a process has used so far.
func cpu(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of %d: %w", pid, err)
	}
	// The name in parentheses may have spaces; utime and stime are the 12th and 13th fields after it.
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("reading the CPU time of %d: %q", pid, raw)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of %d: %w", pid, err)
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of %d: %w", pid, err)
	}
	const ticks = 100 // USER_HZ of every Linux that Go runs on
	return time.Duration(user+system) * time.Second / ticks, nil
}

// memory is the resident size of a process now, and its peak, in bytes.
func memory(pid int) (now, peak int64) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			now = kib << 10
		case "VmHWM:":
			peak = kib << 10
		}
	}
	return now, peak
}

// resetPeak lets the peak begin anew.
func resetPeak(pid int) { _ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) }

// stored is the revision of the hub's etcd and the bytes of its present keys and values.
func stored(ctx context.Context, dataDir string) (revision, bytes int64, err error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{"unix://" + filepath.Join(dataDir, "etcd", "run", "client.sock")},
		DialTimeout: 10 * time.Second,
		Logger:      zap.NewNop(),
	})
	if err != nil {
		return 0, 0, fmt.Errorf("reaching the hub's etcd: %w", err)
	}
	defer client.Close()
	for from := "/"; ; {
		page, err := client.Get(ctx, from, clientv3.WithRange("0"), clientv3.WithLimit(500))
		if err != nil {
			return 0, 0, fmt.Errorf("reading the hub's etcd: %w", err)
		}
		revision = page.Header.Revision
		for _, kv := range page.Kvs {
			bytes += int64(len(kv.Key) + len(kv.Value))
			from = string(kv.Key) + "\x00"
		}
		if !page.More {
			return revision, bytes, nil
		}
	}
}

// quiet waits until the revision of the hub's etcd has stood still for a while and returns it, with the bytes.
func quiet(ctx context.Context, dataDir string) (revision, bytes int64, err error) {
	const still = 2 * time.Second
	last, since := int64(-1), time.Now()
	for time.Since(since) < still || last < 0 {
		if revision, bytes, err = stored(ctx, dataDir); err != nil {
			return 0, 0, err
		}
		if revision != last {
			last, since = revision, time.Now()
		}
		select {
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return revision, bytes, nil
}
