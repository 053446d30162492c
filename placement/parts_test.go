package placement

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func shares(names string, replicas ...int64) []Share {
	var list []Share
	for i, name := range strings.Fields(names) {
		list = append(list, Share{Name: name, Replicas: replicas[i]})
	}
	return list
}

func TestParts(t *testing.T) {
	cases := []struct {
		name   string
		total  int64
		shares []Share
		floor  int64
		want   []int64
	}{
		{"completions in the ratio of parallelism", 10, shares("east west", 4, 2), 0, []int64{7, 3}},
		{"bytes of a quota", 64 << 30, shares("east west", 3, 1), 0, []int64{48 << 30, 16 << 30}},
		{"nothing to divide", 0, shares("east west", 3, 1), 0, []int64{0, 0}},
		{"at least one each, above the total", 1, shares("a b c", 5, 1, 1), 1, []int64{1, 1, 1}},
		{"a floor counts towards the share", 8, shares("a b", 6, 2), 1, []int64{6, 2}},
		{"shares of zero are alike", 4, shares("a b", 0, 0), 0, []int64{2, 2}},
		{"the largest number", math.MaxInt64, shares("a", 1), 0, []int64{math.MaxInt64}},
		{"nobody", 4, nil, 0, []int64{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Parts("web", c.total, c.shares, c.floor)); diff != "" {
				t.Errorf("(-want,+got):\n%s", diff)
			}
		})
	}
}

func TestAutoscalerParts(t *testing.T) {
	cases := []struct {
		name   string
		bounds Range
		shares []Share
		want   []Range
	}{
		{"in the ratio of the shares", Range{3, 9}, shares("east west", 2, 1), []Range{{2, 6}, {1, 3}}},
		{"never below 1", Range{1, 10}, shares("a b c", 8, 1, 1), []Range{{1, 8}, {1, 1}, {1, 1}}},
		{"the maximum never below the minimum", Range{2, 2}, shares("a b c", 1, 1, 1), []Range{{1, 1}, {1, 1}, {1, 1}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, AutoscalerParts("web", c.bounds, c.shares)); diff != "" {
				t.Errorf("(-want,+got):\n%s", diff)
			}
		})
	}
}

func TestAvailablePartsLeaveRoomToEvict(t *testing.T) {
	got := AvailableParts("web", 5, shares("east west", 4, 2))
	if diff := cmp.Diff([]int64{3, 2}, got); diff != "" {
		t.Errorf("5 available of 4 and 2 (-want,+got):\n%s", diff)
	}
	got = AvailableParts("web", 50, shares("east west", 4, 2))
	if diff := cmp.Diff([]int64{4, 2}, got); diff != "" {
		t.Errorf("50 available of 4 and 2 (-want,+got):\n%s", diff)
	}
}

func TestOrdinals(t *testing.T) {
	cases := []struct {
		name     string
		previous []Block
		held     []Block
		shares   []Share
		want     []Block
		err      string
	}{
		{"the first begins at 0", nil, nil, shares("east west", 3, 2), []Block{{"east", 0, 1000}, {"west", 1000, 1000}}, ""},
		{"a block stays with its cluster", []Block{{"west", 0, 1000}}, nil, shares("east west", 3, 2),
			[]Block{{"east", 1000, 1000}, {"west", 0, 1000}}, ""},
		{"a block given back is used again", []Block{{"east", 0, 1000}, {"west", 1000, 1000}}, nil, shares("north west", 1, 1),
			[]Block{{"north", 0, 1000}, {"west", 1000, 1000}}, ""},
		{"one that pods may still use is not", []Block{{"west", 1000, 1000}}, []Block{{"east", 0, 1000}},
			shares("north west", 1, 1), []Block{{"north", 2000, 1000}, {"west", 1000, 1000}}, ""},
		{"who comes back finds its own", nil, []Block{{"east", 1000, 1000}}, shares("east north", 1, 1),
			[]Block{{"east", 1000, 1000}, {"north", 0, 1000}}, ""},
		{"large sets have wide blocks", nil, nil, shares("a b", 4000, 3000), []Block{{"a", 0, 10000}, {"b", 10000, 10000}}, ""},
		{"the last block can grow", []Block{{"a", 0, 1000}, {"b", 1000, 1000}}, nil, shares("a b", 1, 1500),
			[]Block{{"a", 0, 1000}, {"b", 1000, 10000}}, ""},
		{"one between others cannot", []Block{{"a", 0, 1000}, {"b", 1000, 1000}}, nil, shares("a b", 1500, 1), nil,
			"cluster a has 1500 replicas and no ordinals left for them below those of b"},
		{"31 bits", nil, nil, shares("a", math.MaxInt32+2), nil, "Kubernetes counts to 2147483647"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Ordinals(c.previous, c.held, c.shares)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want,+got):\n%s", diff)
			}
		})
	}
}

// TestOrdinalsAreUniqueForLife lets clusters come, go and scale, and checks every pod's number.
func TestOrdinalsAreUniqueForLife(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	for range 200 {
		var blocks, held []Block
		for range 30 {
			var list []Share
			for _, name := range []string{"a", "b", "c", "d", "e"} {
				if r.IntN(3) > 0 {
					list = append(list, Share{Name: name, Replicas: r.Int64N(300)})
				}
			}
			previous := slices.Concat(blocks, held)
			held = nil
			taken := map[int64]string{}
			for _, b := range blocks { // the pods of a cluster that is left stay on for one step
				if !slices.ContainsFunc(list, func(s Share) bool { return s.Name == b.Name }) {
					held = append(held, b)
					for n := b.Start; n < b.Start+300; n++ {
						taken[n] = b.Name
					}
				}
			}
			next, err := Ordinals(previous, held, list)
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range next {
				if b.Name != list[i].Name {
					t.Fatalf("blocks %v for %v", next, list)
				}
				for n := b.Start; n < b.Start+list[i].Replicas; n++ {
					if taken[n] != "" {
						t.Fatalf("%s and %s have ordinal %d: %v", taken[n], b.Name, n, next)
					}
					taken[n] = b.Name
				}
				for _, was := range previous {
					if was.Name == b.Name && was.Start != b.Start {
						t.Fatalf("%s moved from %d to %d", b.Name, was.Start, b.Start)
					}
				}
			}
			blocks = next
		}
	}
}
