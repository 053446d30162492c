package placement

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hanse-federation/hanse/placement/story"
)

// TestStories plays testdata/*.txt, the manual of this package: each step tells the decision that follows.
func TestStories(t *testing.T) {
	story.Play(t, "testdata/*.txt", func() story.World { return newWorld() })
}

// world is what the lines of a story change.
type world struct {
	in    Input
	err   error
	ready map[string]int64
	stuck map[string]int64
}

func newWorld() *world {
	return &world{in: Input{Now: time.Unix(1_000_000, 0), Object: Object{Key: "Deployment shop/web",
		API: API{"apps", "v1", "Deployment"}, HasReplicas: true, Mode: ModeDivide}}}
}

// Tell decides, and remembers the decision for the next step; unless a line says otherwise all replicas in reachable
// clusters become ready.
func (w *world) Tell(*testing.T) string {
	if w.err != nil {
		text := "error: " + w.err.Error() + "\n"
		w.err = nil
		return text
	}
	w.settle()
	d := Decide(w.in)
	w.in.Previous = d.Assignments()
	w.ready, w.stuck = map[string]int64{}, map[string]int64{}
	return d.Describe()
}

// settle writes what became of the last decision into Previous.
func (w *world) settle() {
	if w.in.Previous == nil {
		return
	}
	for i := range w.in.Previous.Clusters {
		p := &w.in.Previous.Clusters[i]
		p.Ready, p.Unschedulable = p.Replicas, w.stuck[p.Name]
		if n, told := w.ready[p.Name]; told {
			p.Ready = n
		}
	}
}

// run obeys one line: a word, then names and key=value settings.
func (w *world) Obey(line string) error {
	words := strings.Fields(line)
	if w.in.Previous != nil && w.ready == nil {
		w.ready, w.stuck = map[string]int64{}, map[string]int64{}
	}
	rest := strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	switch words[0] {
	case "cluster":
		return w.cluster(words[1:])
	case "remove":
		w.in.Clusters = slices.DeleteFunc(w.in.Clusters, func(c Cluster) bool { return c.Name == words[1] })
		return nil
	case "clusters":
		w.in.Policy.Terms, w.err = ParseClusters(rest)
		return nil
	case "term":
		return w.term(words[1:])
	case "object":
		return settings(words[1:], w.object)
	case "policy":
		return settings(words[1:], w.policy)
	case "spread":
		w.in.Policy.Spread = append(w.in.Policy.Spread, Spread{By: words[1]})
		return settings(words[2:], w.spread)
	case "nospread":
		w.in.Policy.Spread = nil
		return nil
	case "tolerate":
		w.in.Policy.Tolerations = append(w.in.Policy.Tolerations, Toleration{})
		return settings(words[1:], w.toleration)
	case "ready":
		return counts(words[1:], w.ready)
	case "stuck":
		return counts(words[1:], w.stuck)
	case "previous":
		w.in.Previous, w.ready, w.stuck = &Previous{}, map[string]int64{}, map[string]int64{}
		return settings(words[1:], func(name, value string) error {
			n, err := strconv.ParseInt(value, 10, 64)
			w.in.Previous.Clusters = append(w.in.Previous.Clusters, Assignment{Name: name, Replicas: n})
			return err
		})
	case "after":
		passed, err := time.ParseDuration(words[1])
		w.in.Now = w.in.Now.Add(passed)
		return err
	case "sight":
		return settings(words[1:], w.sight)
	case "explain":
		w.in.Explain = true
		return nil
	}
	return fmt.Errorf("unknown line")
}

// sight changes how well the clusters are seen: "sight now" begins a new view, "sight blind=yes", "sight steps=3".
func (w *world) sight(key, value string) (err error) {
	switch key {
	case "now":
		w.in.Sight.Since = w.in.Now
	case "blind":
		w.in.Sight.Blind = value == "yes"
	case "steps":
		w.in.Sight.Steps = &Moves{}
		w.in.Sight.Steps.Number, err = strconv.ParseInt(value, 10, 64)
	default:
		err = errors.New("unknown")
	}
	return err
}

func settings(words []string, set func(key, value string) error) error {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		if err := set(key, value); err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	return nil
}

func counts(words []string, into map[string]int64) error {
	return settings(words, func(name, value string) (err error) {
		into[name], err = strconv.ParseInt(value, 10, 64)
		return err
	})
}

func number(value string) (*int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	return &n, err
}

// cluster makes or changes clusters: "cluster east west region=eu".
func (w *world) cluster(words []string) error {
	for _, name := range words {
		if strings.Contains(name, "=") {
			continue
		}
		i := slices.IndexFunc(w.in.Clusters, func(c Cluster) bool { return c.Name == name })
		if i < 0 {
			w.in.Clusters = append(w.in.Clusters, Cluster{Name: name, Ready: true})
			i = len(w.in.Clusters) - 1
		}
		err := settings(words, func(key, value string) error { return w.fact(&w.in.Clusters[i], key, value) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) fact(c *Cluster, key, value string) error {
	yes := value == "yes"
	switch key {
	case "region":
		c.Region = value
	case "provider":
		c.Provider = value
	case "zones":
		c.Zones = strings.Split(value, ",")
	case "ready":
		c.Ready, c.Since = yes, w.in.Now
	case "cordoned":
		c.Cordoned = yes
	case "draining":
		c.Draining = yes
	case "paused":
		c.Paused = yes
	case "serves":
		c.APIs = map[API]bool{{"apps", "v1", value}: true}
	case "taint":
		c.Taints = nil
		if value != "no" {
			key, effect, _ := strings.Cut(value, ":")
			key, value, _ := strings.Cut(key, "=")
			c.Taints = []Taint{{Key: key, Value: value, Effect: Effect(effect), TimeAdded: w.in.Now}}
		}
	case "free": // pods on each node
		c.Free = []Room{}
		for _, pods := range strings.Split(value, ",") {
			n, err := strconv.ParseInt(pods, 10, 64)
			if err != nil {
				return err
			}
			c.Free = append(c.Free, Room{Resources{MilliCPU: 1 << 40, Memory: 1 << 50, Pods: n}, 1})
		}
	case "cpu": // free milli-CPU on each node, with pods enough
		c.Free = []Room{}
		for _, cpu := range strings.Split(value, ",") {
			n, err := strconv.ParseInt(cpu, 10, 64)
			if err != nil {
				return err
			}
			c.Free = append(c.Free, Room{Resources{MilliCPU: n, Pods: 1000}, 1})
		}
	default:
		if label, ok := strings.CutPrefix(key, "label:"); ok {
			if c.Labels == nil {
				c.Labels = map[string]string{}
			}
			c.Labels[label] = value
			return nil
		}
		if value == "" && !strings.Contains(key, "=") {
			return nil // a name
		}
		return errors.New("unknown fact")
	}
	return nil
}

// term adds a term: "term east weight=2 max=3", "term (env=prod) tier=1", "term {cluster.region == 'eu'}".
func (w *world) term(words []string) error {
	line := strings.Join(words, " ")
	var t Term
	switch {
	case strings.HasPrefix(line, "{"):
		end := strings.LastIndex(line, "}")
		if t.Expression, w.err = CompileSelector(line[1:end]); w.err != nil {
			return nil
		}
		words = strings.Fields(line[end+1:])
	default:
		parsed, err := ParseClusters(words[0])
		if err != nil {
			return err
		}
		t, words = parsed[0], words[1:]
	}
	err := settings(words, func(key, value string) (err error) {
		switch key {
		case "weight":
			t.Weight, err = number(value)
		case "min":
			t.Min, err = number(value)
		case "max":
			t.Max, err = number(value)
		case "tier":
			t.Tier, err = strconv.Atoi(value)
		default:
			err = errors.New("unknown setting")
		}
		return err
	})
	w.in.Policy.Terms = append(w.in.Policy.Terms, t)
	return err
}

func (w *world) object(key, value string) (err error) {
	switch key {
	case "key":
		w.in.Object.Key = value
	case "mode":
		w.in.Object.Mode = Mode(value)
	case "replicas":
		w.in.Object.Replicas, err = strconv.ParseInt(value, 10, 64)
	case "cpu":
		w.in.Object.Requests.MilliCPU, err = strconv.ParseInt(value, 10, 64)
	case "counts":
		w.in.Object.HasReplicas = value == "yes"
	default:
		err = errors.New("unknown setting")
	}
	return err
}

func (w *world) policy(key, value string) (err error) {
	p := &w.in.Policy
	switch key {
	case "terms":
		p.Terms = nil
	case "replicas":
		p.Replicas = Mode(value)
	case "by":
		p.By = By(value)
	case "pack":
		p.Pack = Pack(value)
	case "rebalance":
		p.Rebalance = Rebalance(value)
	case "overflow":
		p.Overflow = Overflow(value)
	case "failover":
		p.Failover.After, err = time.ParseDuration(value)
	case "comeback":
		p.Failover.ComeBack = value == "yes"
	case "moves":
		p.MaxMoves = &Moves{}
		if percent, ok := strings.CutSuffix(value, "%"); ok {
			p.MaxMoves.Percent, err = strconv.ParseInt(percent, 10, 64)
		} else {
			p.MaxMoves.Number, err = strconv.ParseInt(value, 10, 64)
		}
	default:
		err = errors.New("unknown setting")
	}
	return err
}

func (w *world) spread(key, value string) error {
	s := &w.in.Policy.Spread[len(w.in.Policy.Spread)-1]
	n, err := strconv.Atoi(value)
	switch key {
	case "min":
		s.Min = &n
	case "max":
		s.Max = &n
	case "else":
		s.WhenUnsatisfiable, err = WhenUnsatisfiable(value), nil
	default:
		err = errors.New("unknown setting")
	}
	return err
}

func (w *world) toleration(key, value string) error {
	t := &w.in.Policy.Tolerations[len(w.in.Policy.Tolerations)-1]
	switch key {
	case "key":
		t.Key = value
		t.Exists = true
	case "value":
		t.Value, t.Exists = value, false
	case "effect":
		t.Effect = Effect(value)
	case "seconds":
		n, err := number(value)
		t.Seconds = n
		return err
	default:
		return errors.New("unknown setting")
	}
	return nil
}
