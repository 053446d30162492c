package expose

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/acks"
	"github.com/hanse-federation/hanse/federation/names/dnskeys"
	"github.com/hanse-federation/hanse/federation/names/owners"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/placement/story"
)

// TestStories plays what is served: each step tells the zones, and what is told of them, then.
func TestStories(t *testing.T) {
	story.Play(t, "testdata/*.txt", func() story.World { return newStage() })
}

// stage is what the lines of a story change.
type stage struct {
	now           time.Time
	zones         map[string]*v1alpha1.Zone
	services      map[string]*v1alpha1.GlobalService
	order         []string // of the services, as they were made
	clusters      map[string]*v1alpha1.Cluster
	objects       map[template.Ref]*unstructured.Unstructured
	distributions map[template.Ref]*v1alpha1.Distribution
	overrides     map[*v1alpha1.Distribution][]v1alpha1.Override
	secrets       map[string]*corev1.Secret
	updates       []zone.Record
	nameservers   map[string]acks.Server
	probed        map[string]v1alpha1.ProbeStatus
	resolved      map[string][]netip.Addr
	slices        []discoveryv1.EndpointSlice
	tellsLadders  bool
	exposer       Exposer
}

func newStage() *stage {
	return &stage{
		now:           time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		zones:         map[string]*v1alpha1.Zone{},
		services:      map[string]*v1alpha1.GlobalService{},
		clusters:      map[string]*v1alpha1.Cluster{},
		objects:       map[template.Ref]*unstructured.Unstructured{},
		distributions: map[template.Ref]*v1alpha1.Distribution{},
		overrides:     map[*v1alpha1.Distribution][]v1alpha1.Override{},
		secrets:       map[string]*corev1.Secret{},
		nameservers:   map[string]acks.Server{},
		probed:        map[string]v1alpha1.ProbeStatus{},
		resolved:      map[string][]netip.Addr{},
	}
}

func (s *stage) world() world {
	w := world{clusters: s.clusters, servers: []string{"192.0.2.53"}, now: s.now, probed: s.probed, resolved: s.resolved,
		slices: s.slices}
	for _, name := range slices.Sorted(maps.Keys(s.nameservers)) {
		w.nameservers = append(w.nameservers, s.nameservers[name])
	}
	w.annotated = func(visit func(*unstructured.Unstructured)) {
		for _, obj := range s.objects {
			if isAnnotated(obj) {
				visit(obj)
			}
		}
	}
	w.routes = func(namespace string, visit func(*unstructured.Unstructured)) {
		for _, obj := range s.objects {
			if obj.GetKind() == "HTTPRoute" && obj.GetNamespace() == namespace {
				visit(obj)
			}
		}
	}
	w.imported = func(visit func(*unstructured.Unstructured)) {
		for _, obj := range s.objects {
			if obj.GetKind() == "ServiceImport" {
				visit(obj)
			}
		}
	}
	for _, z := range s.zones {
		w.zones = append(w.zones, *z)
	}
	for _, gs := range s.services {
		w.services = append(w.services, *gs)
	}
	w.secret = func(name string) (*corev1.Secret, bool) { secret := s.secrets[name]; return secret, secret != nil }
	w.updates = func(string) ([]zone.Record, error) { return s.updates, nil }
	w.object = func(ref template.Ref) (*unstructured.Unstructured, bool) {
		obj, ok := s.objects[ref]
		return obj, ok
	}
	w.overrides = func(d *v1alpha1.Distribution) []v1alpha1.Override { return s.overrides[d] }
	w.distribution = func(ref template.Ref) *v1alpha1.Distribution { return s.distributions[ref] }
	w.workloads = func(namespace string, visit func(*unstructured.Unstructured)) {
		for _, obj := range s.objects {
			if obj.GetNamespace() == namespace && strings.HasPrefix(obj.GetAPIVersion(), "apps/") {
				visit(obj)
			}
		}
	}
	w.origins = originsOf(w.zones)
	return w
}

// obey follows one line.
func (s *stage) Obey(line string) error {
	words := strings.Fields(line)
	rest := strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	switch words[0] {
	case "zone": // name and spec
		z := &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: words[1]}}
		z.Spec.TTL = 300
		z.CreationTimestamp = metav1.NewTime(time.Unix(int64(len(s.zones)), 0))
		if before := s.zones[words[1]]; before != nil {
			z.CreationTimestamp, z.Status = before.CreationTimestamp, before.Status
		}
		s.zones[words[1]] = z
		return yaml.UnmarshalStrict([]byte(strings.TrimPrefix(rest, words[1])), &z.Spec)
	case "global": // name and spec, with the defaults of the schema
		gs := &v1alpha1.GlobalService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: words[1]}}
		gs.Spec = v1alpha1.GlobalServiceSpec{
			Policy: "Weighted", Weights: "Replicas", Answer: "Staircase", TTL: 30, MinHealthy: "0%", Overflow: "NextTier",
		}
		gs.CreationTimestamp = metav1.NewTime(time.Unix(int64(len(s.services)), 0))
		if before := s.services[words[1]]; before != nil {
			gs.CreationTimestamp, gs.Status = before.CreationTimestamp, before.Status
		} else {
			s.order = append(s.order, words[1])
		}
		s.services[words[1]] = gs
		err := yaml.UnmarshalStrict([]byte(strings.TrimPrefix(rest, words[1])), &gs.Spec)
		claim(gs, gs.Spec.Hostnames)
		return err
	case "of": // namespace, service: whose author could claim no name
		gs := s.services[words[2]]
		gs.Namespace, gs.Annotations = words[1], nil
	case "cluster":
		return s.cluster(words[1], words[2:])
	case "unjoined":
		delete(s.clusters, words[1])
	case "template":
		return s.template(rest)
	case "at": // object, then addresses of its copies: east=10.0.0.1 west=none
		return s.reached(words[1], words[2:])
	case "runs": // workload, then ready/desired of its copies: east=3/4
		return s.running(words[1], words[2:])
	case "leaves": // object, member
		d, err := s.distribution(words[1])
		if err != nil {
			return err
		}
		d.Spec.Leaving = append(d.Spec.Leaving, words[2])
		d.Spec.Clusters = slices.DeleteFunc(d.Spec.Clusters, func(c v1alpha1.DistributionCluster) bool {
			return c.Name == words[2]
		})
	case "overrides": // object, then what its placement changes for members
		d, err := s.distribution(words[1])
		if err != nil {
			return err
		}
		var overrides []v1alpha1.Override
		err = yaml.UnmarshalStrict([]byte(strings.TrimPrefix(rest, words[1])), &overrides)
		s.overrides[d] = overrides
		return err
	case "granted": // the hub makes what annotations ask for
		s.grant()
	case "stays": // object, member: the decision is taken back
		d, err := s.distribution(words[1])
		if err != nil {
			return err
		}
		d.Spec.Leaving = nil
		d.Spec.Clusters = append(d.Spec.Clusters, v1alpha1.DistributionCluster{Name: words[2]})
	case "server": // a DNS server, and the serial that it answers from
		serial, err := strconv.ParseUint(words[2], 10, 32)
		s.nameservers[words[1]] = acks.Server{
			Name: words[1], Serial: uint32(serial), Renewed: s.now, IsRunning: true,
		}
		return err
	case "probed": // service, member, ok or what is wrong
		s.probed["shop/"+words[1]+"/"+words[2]] = v1alpha1.ProbeStatus{Healthy: words[3] == "ok", Message: words[3]}
	case "resolves": // name of a load balancer, addresses
		s.resolved[words[1]] = addresses(words[2:])
	case "ladders": // tell of the names that stand for one cluster or region
		s.tellsLadders = true
	case "slice": // an EndpointSlice
		var slice discoveryv1.EndpointSlice
		err := yaml.UnmarshalStrict([]byte(rest), &slice)
		slice.Namespace = "shop"
		s.slices = append(s.slices, slice)
		return err
	case "secret": // name and fields
		s.secrets[words[1]] = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "hanse-system", Name: words[1]}, Data: map[string][]byte{}}
		for _, word := range words[2:] {
			field, value, _ := strings.Cut(word, "=")
			s.secrets[words[1]].Data[field] = []byte(value)
		}
	case "keyed": // zone: what the hub does when keys are missing
		ring, err := dnskeys.New(s.now)
		if err != nil {
			return err
		}
		s.secrets[dnskeys.SecretName(words[1])] = ring.Secret(s.zones[words[1]])
	case "written": // by updates: name, type, data
		s.updates = append(s.updates, zone.Record{Name: words[1], TTL: 60, Type: words[2], Data: strings.Join(words[3:], " ")})
	case "after":
		passed, err := time.ParseDuration(words[1])
		s.now = s.now.Add(passed)
		return err
	default:
		return errors.New("unknown line")
	}
	return nil
}

// grant does what the replica that leads does with wishes.
func (s *stage) grant() {
	for _, one := range wishes(s.world()) {
		before := s.services[one.name]
		if before == nil {
			before = &v1alpha1.GlobalService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: one.name}}
			before.Labels = map[string]string{fromAnnotations: "service"}
			before.Spec = v1alpha1.GlobalServiceSpec{
				Policy: "Weighted", Weights: "Replicas", Answer: "Staircase", TTL: 30, MinHealthy: "0%", Overflow: "NextTier",
			}
		}
		s.services[one.name] = one.granted(before)
	}
}

func (s *stage) cluster(name string, words []string) error {
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	ready := metav1.Condition{Type: "Ready", Status: "True", LastTransitionTime: metav1.NewTime(s.now)}
	for _, word := range words {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "region":
			c.Spec.Region = value
		case "zone":
			c.Spec.Zones = append(c.Spec.Zones, value)
		case "lost":
			ready.Status = "False"
		case "drained":
			c.Spec.Taints = []v1alpha1.Taint{{Key: drainTaint, Effect: "NoExecute"}}
		default:
			return errors.New("unknown setting " + word)
		}
	}
	c.Status.Conditions = []metav1.Condition{ready}
	s.clusters[name] = c
	return nil
}

func (s *stage) template(manifest string) error {
	encoded, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		return err
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(encoded); err != nil {
		return err
	}
	if obj.GetKind() != "Namespace" {
		obj.SetNamespace("shop")
	}
	claim(obj, owners.Annotated(obj.GetAnnotations()))
	s.objects[template.RefOf(obj)] = obj
	return nil
}

// claim writes down that the author of an object could claim the names.
func claim(obj metav1.Object, names []string) {
	claims := owners.Claims{}
	for _, name := range names {
		claims[owners.Normal(name)] = []string{owners.AllZones}
	}
	if len(claims) == 0 {
		return
	}
	annotations := map[string]string{v1alpha1.ClaimedNamesAnnotation: claims.String()}
	maps.Copy(annotations, obj.GetAnnotations())
	obj.SetAnnotations(annotations)
}

// distribution of an object that was told of, by Kind/name.
func (s *stage) distribution(kindName string) (*v1alpha1.Distribution, error) {
	for ref := range s.objects {
		if ref.Kind+"/"+ref.Name != kindName {
			continue
		}
		if s.distributions[ref] == nil {
			s.distributions[ref] = &v1alpha1.Distribution{}
		}
		return s.distributions[ref], nil
	}
	return nil, errors.New("there is no template " + kindName)
}

func outcome(d *v1alpha1.Distribution, name string) *v1alpha1.ClusterOutcome {
	for i := range d.Status.Clusters {
		if d.Status.Clusters[i].Name == name {
			return &d.Status.Clusters[i]
		}
	}
	d.Status.Clusters = append(d.Status.Clusters, v1alpha1.ClusterOutcome{Name: name})
	return &d.Status.Clusters[len(d.Status.Clusters)-1]
}

func (s *stage) reached(kindName string, words []string) error {
	d, err := s.distribution(kindName)
	if err != nil {
		return err
	}
	for _, word := range words {
		name, address, _ := strings.Cut(word, "=")
		field := "ip"
		if strings.Contains(address, "example") {
			field = "hostname"
		}
		raw := fmt.Sprintf(`{"loadBalancer": {"ingress": [{%q: %q}]}}`, field, address)
		if kind, _, _ := strings.Cut(kindName, "/"); kind == "Gateway" {
			raw = fmt.Sprintf(`{"addresses": [{"type": "IPAddress", "value": %q}]}`, address)
		}
		if address == "none" {
			raw = "{}"
		}
		outcome(d, name).Status = &runtime.RawExtension{Raw: []byte(raw)}
	}
	return nil
}

func (s *stage) running(kindName string, words []string) error {
	d, err := s.distribution(kindName)
	if err != nil {
		return err
	}
	for _, word := range words {
		name, figures, _ := strings.Cut(word, "=")
		var ready, desired int64
		if _, err := fmt.Sscanf(figures, "%d/%d", &ready, &desired); err != nil {
			return err
		}
		o := outcome(d, name)
		o.Ready, o.Desired = &ready, &desired
		isDecided := slices.ContainsFunc(d.Spec.Clusters, func(c v1alpha1.DistributionCluster) bool { return c.Name == name })
		if !isDecided && !slices.Contains(d.Spec.Leaving, name) {
			d.Spec.Clusters = append(d.Spec.Clusters, v1alpha1.DistributionCluster{Name: name})
		}
	}
	return nil
}

// tell says what is served and what the statuses say, and stores the statuses.
func (s *stage) Tell(*testing.T) string {
	w := s.world()
	p := build(w)
	s.exposer.served = s.exposer.servable(p, w)
	var b strings.Builder
	for _, z := range s.exposer.served {
		if !s.tellsLadders {
			z.Services = slices.DeleteFunc(slices.Clone(z.Services), func(s zone.Service) bool { return s.Home != zone.Home{} })
		}
		tellZone(&b, z)
	}
	for _, one := range wishes(w) {
		fmt.Fprintf(&b, "wants GlobalService %s: %s%s%s %v ttl %d %v\n", one.name, one.spec.Service, one.spec.Ingress,
			one.spec.Gateway, one.spec.Hostnames, one.spec.TTL, one.spec.Addresses)
		for _, fixed := range one.spec.FixedWeights {
			fmt.Fprintf(&b, "  weight %d for %s\n", fixed.Weight, fixed.Cluster)
		}
	}
	for _, z := range w.zones {
		if problem := p.problems[z.Name]; problem != nil {
			fmt.Fprintf(&b, "zone %s: %v\n", z.Name, problem)
		}
		if fault := p.faults[z.Name]; fault != nil {
			fmt.Fprintf(&b, "zone %s, in part: %v\n", z.Name, fault)
		}
		s.zones[z.Name].Status.Conditions = nil
		setDefault(&s.zones[z.Name].Status.Conditions, p.defaultZone, &z, metav1.Condition{})
		for _, c := range s.zones[z.Name].Status.Conditions {
			if c.Status == metav1.ConditionFalse {
				fmt.Fprintf(&b, "zone %s is not the default: %s\n", z.Name, c.Message)
			}
		}
		if p.signing[z.Name].isMissing {
			fmt.Fprintf(&b, "zone %s needs its first key\n", z.Name)
		}
	}
	for _, u := range p.unserved {
		fmt.Fprintf(&b, "%s %s: %s\n", u.object.GetKind(), u.object.GetName(), u.why)
	}
	for _, e := range p.exposures {
		status := serviceStatus(w, e, 7)
		s.services[e.object.Name].Status = status
		fmt.Fprintf(&b, "%s: %s", e.object.Name, status.Summary)
		for _, c := range status.Conditions {
			if c.Type == "Ready" && c.Status != "True" || c.Type == "FailOpen" && c.Status == "True" ||
				c.Type == v1alpha1.ConditionAnnotationsFollowed {
				fmt.Fprintf(&b, " [%s: %s]", c.Reason, c.Message)
			}
		}
		b.WriteString("\n")
		for _, c := range status.Clusters {
			fmt.Fprintf(&b, "  %s: %s, %s (%s)\n", c.Name, c.Share, c.Health, c.Reason)
			if c.Drain != nil {
				fmt.Fprintf(&b, "    drain: done %t, %s\n", c.Drain.Done, c.Drain.Message)
			}
		}
	}
	for _, e := range p.exposures {
		recheck := soonest{p.recheck}
		recheck.in(nextDrain(&s.services[e.object.Name].Status, s.now))
		p.recheck = recheck.after
	}
	if p.recheck > 0 {
		fmt.Fprintf(&b, "looks again after %s\n", p.recheck)
	}
	return b.String()
}

func tellZone(b *strings.Builder, z zone.Zone) {
	if len(z.Keys) > 0 {
		fmt.Fprintf(b, "%s is signed with %d keys\n", z.Origin, len(z.Keys))
		for _, key := range z.Keys {
			if key.Stage == sign.Leaving {
				fmt.Fprintf(b, "%s asks its parent to drop its DS records\n", z.Origin)
			}
		}
	}
	for _, key := range z.Transfer.Keys {
		fmt.Fprintf(b, "%s may be copied by who has %s from %s, and %s are told\n", z.Origin, key.Name, z.Transfer.Allow, z.Transfer.Notify)
	}
	for _, u := range z.Updates {
		fmt.Fprintf(b, "%s: who has %s may write %s at %s\n", z.Origin, u.Key.Name, u.Types, u.Names)
	}
	for _, r := range z.Records {
		fmt.Fprintf(b, "%s: %s %s %s\n", z.Origin, r.Name, r.Type, r.Data)
	}
	for _, svc := range z.Services {
		fmt.Fprintf(b, "%s in %s", svc.Name, z.Origin)
		if svc.Policy != zone.Weighted || svc.Answer != zone.Staircase {
			fmt.Fprintf(b, " %s %s", svc.Policy, svc.Answer)
		}
		if svc.Home != (zone.Home{}) {
			fmt.Fprintf(b, " first %s then %s\n", svc.Home.Cluster, svc.Home.Region)
			continue
		}
		for _, t := range svc.Targets {
			fmt.Fprintf(b, ", %s", t.Cluster)
			for _, a := range t.Addresses {
				b.WriteString(" " + a.String())
			}
			if t.Hostname != "" {
				b.WriteString(" " + t.Hostname)
			}
			fmt.Fprintf(b, " weight %d", t.Weight)
			if t.Tier > 0 {
				fmt.Fprintf(b, " tier %d", t.Tier)
			}
			if t.Region+t.Zone != "" {
				fmt.Fprintf(b, " in %s/%s", t.Region, t.Zone)
			}
		}
		for _, port := range svc.Ports {
			fmt.Fprintf(b, ", _%s._%s %d", port.Name, port.Protocol, port.Port)
		}
		b.WriteString("\n")
	}
}
