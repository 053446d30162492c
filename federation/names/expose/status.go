package expose

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/balance"
	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/dnskeys"
)

// serviceStatus is what is answered of a GlobalService.
func serviceStatus(w world, e exposure, serial uint32) v1alpha1.GlobalServiceStatus {
	gs, now := e.object, w.now
	status := v1alpha1.GlobalServiceStatus{
		ObservedGeneration: gs.Generation,
		Conditions:         slices.Clone(gs.Status.Conditions),
		Version:            gs.Status.Version,
		Behind:             e.behind,
	}
	status.TTL, status.TTLUntil = keptTTL(gs, now)
	for _, hostname := range e.hostnames {
		status.Hostnames = append(status.Hostnames, strings.TrimSuffix(hostname, "."))
	}
	selection := e.service.Select("", "")
	plan := e.service.Plan(selection, answered(e.service))
	shares := plan.Shares(len(e.service.Targets))
	var parts []string
	for i, t := range e.service.Targets {
		percent, _ := shares[i].Float64()
		cluster := v1alpha1.GlobalServiceCluster{
			Name:   t.Cluster,
			Weight: int64(t.Weight),
			Share:  fmt.Sprintf("%.1f%%", 100*percent),
			Health: healthName(t.State),
			Reason: e.findings[t.Cluster].reason,
		}
		f := e.findings[t.Cluster]
		cluster.Lost, cluster.Recovering, cluster.Resolved, cluster.Probe = f.lost, f.recovering, f.resolved, f.probe
		cluster.Drain = drain(w, gs, t.Cluster, f, serial, status.TTL)
		for _, a := range t.Addresses {
			cluster.Addresses = append(cluster.Addresses, a.String())
		}
		if t.Hostname != "" {
			cluster.Addresses = append(cluster.Addresses, t.Hostname)
		}
		status.Clusters = append(status.Clusters, cluster)
		if shares[i].Sign() > 0 {
			parts = append(parts, fmt.Sprintf("%s=%.0f%%", t.Cluster, 100*percent))
		}
	}
	status.Summary = strings.Join(parts, ",")
	e.setConditions(&status, selection, now)
	if !sameAnswers(gs.Status, status) {
		status.Version = int64(serial)
	}
	return status
}

// setConditions says of a status what holds of the GlobalService.
func (e exposure) setConditions(status *v1alpha1.GlobalServiceStatus, selection balance.Selection, now time.Time) {
	gs := e.object
	set := func(kind string, isTrue bool, reason, message string) {
		c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: printable.Text(message),
			ObservedGeneration: gs.Generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second))}
		if isTrue {
			c.Status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&status.Conditions, c)
	}
	switch {
	case e.isDisowned && len(e.hostnames) == 0:
		set(v1alpha1.ConditionReady, false, "NotOwned", e.problem.Error())
	case e.problem != nil && len(e.hostnames) > 0:
		set(v1alpha1.ConditionReady, false, "PartlyServed", e.problem.Error())
	case e.problem != nil:
		set(v1alpha1.ConditionReady, false, "NotServed", e.problem.Error())
	case len(selection.Eligible) == 0:
		set(v1alpha1.ConditionReady, false, "NoAddress", "no member has an address to answer; the name exists and answers nothing")
	default:
		set(v1alpha1.ConditionReady, true, "Served", "")
	}
	switch {
	case selection.FailOpen:
		set(v1alpha1.ConditionFailOpen, true, "NoneHealthy", "no member is healthy: those that are not are answered as if they were")
	case selection.Overflow:
		set(v1alpha1.ConditionFailOpen, false, "Overflow", "less than "+gs.Spec.MinHealthy+" of the capacity of the tier in use is "+
			"healthy: healthy members of other tiers are answered beside it")
	default:
		set(v1alpha1.ConditionFailOpen, false, "Healthy", "")
	}
	if e.isHealthKnown {
		set(v1alpha1.ConditionHealthKnown, true, "Known", "")
	} else {
		set(v1alpha1.ConditionHealthKnown, false, "NothingTells", "no workload of the hub stands behind it and there is no probe: a member "+
			"counts as healthy while it has an address; set spec.workload or spec.probe")
	}
	if len(e.notFollowed) > 0 {
		set(v1alpha1.ConditionAnnotationsFollowed, false, "NotFollowed", strings.Join(e.notFollowed, "; "))
	} else {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionAnnotationsFollowed)
	}
	if isDone, message, ok := drained(status); ok {
		set(v1alpha1.ConditionDrained, isDone, map[bool]string{true: "Drained", false: "Draining"}[isDone], message)
	} else {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionDrained)
	}
}

// answered is the address family that shares are told of: IPv4, unless there is only IPv6.
func answered(s zone.Service) wire.Type {
	for _, t := range s.Targets {
		for _, a := range t.Addresses {
			if a.Is4() {
				return wire.TypeA
			}
		}
	}
	for _, t := range s.Targets {
		if len(t.Addresses) > 0 {
			return wire.TypeAAAA
		}
	}
	return wire.TypeA
}

func healthName(s zone.State) string {
	if s == "" {
		return string(zone.Healthy)
	}
	return string(s)
}

// sameAnswers reports whether two statuses speak of the same answers.
func sameAnswers(a, b v1alpha1.GlobalServiceStatus) bool {
	return a.Version != 0 && a.Summary == b.Summary && slices.Equal(a.Hostnames, b.Hostnames) &&
		slices.EqualFunc(a.Clusters, b.Clusters, func(x, y v1alpha1.GlobalServiceCluster) bool {
			return x.Name == y.Name && x.Weight == y.Weight && x.Health == y.Health && slices.Equal(x.Addresses, y.Addresses)
		})
}

// served is what a Zone is served with.
type served struct {
	serial uint32
	digest string
}

// zoneStatus is what is served of the i-th Zone.
func zoneStatus(z *v1alpha1.Zone, p plan, i int, as served, now time.Time) v1alpha1.ZoneStatus {
	status := v1alpha1.ZoneStatus{
		ObservedGeneration: z.Generation,
		Conditions:         slices.Clone(z.Status.Conditions),
		Serial:             int64(as.serial),
		Digest:             as.digest,
		Records:            int32(countRecords(p.zones[i])),
		Keys:               keyStatus(z.Name, p.signing[z.Name].published()),
	}
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Served",
		ObservedGeneration: z.Generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second))}
	if fault := p.faults[z.Name]; fault != nil {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "PartlyServed", fault.Error()
	}
	if problem := p.problems[z.Name]; problem != nil {
		c.Status, c.Reason = metav1.ConditionFalse, "NotServed"
		c.Message = problem.Error() + "; what was served before stays"
	}
	c.Message = printable.Text(c.Message)
	meta.SetStatusCondition(&status.Conditions, c)
	setDefault(&status.Conditions, p.defaultZone, z, c)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionUnsigning)
	if p.signing[z.Name].isLeaving {
		before := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionUnsigning)
		c.Type, c.Status, c.Reason, c.Message = v1alpha1.ConditionUnsigning, metav1.ConditionTrue, "ParentAsked",
			"the zone is signed until its keys are removed, since its parent may have a DS record of them; the parent is "+
				"asked to drop it (CDS, RFC 8078). When it has, and the TTL of the DS record has passed: hanse dns key remove "+z.Name
		if before != nil {
			c.LastTransitionTime = before.LastTransitionTime
		}
		status.Conditions = append(status.Conditions, c)
	}
	return status
}

// setDefault says whether a Zone that wants to be the default one is. c has what all conditions have in common.
func setDefault(conditions *[]metav1.Condition, isDefault string, z *v1alpha1.Zone, c metav1.Condition) {
	meta.RemoveStatusCondition(conditions, v1alpha1.ConditionDefault)
	if !z.Spec.Default {
		return
	}
	c.Type, c.Status, c.Reason, c.Message = v1alpha1.ConditionDefault, metav1.ConditionTrue, "Oldest", ""
	if isDefault != z.Name {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "AnotherDefault",
			"the Zone "+isDefault+" is older and stays the default one; to change that, unset its spec.default"
	}
	if before := meta.FindStatusCondition(z.Status.Conditions, c.Type); before != nil && before.Status == c.Status {
		c.LastTransitionTime = before.LastTransitionTime
	}
	*conditions = append(*conditions, c)
}

// keyStatus tells of the keys of a zone, and what its parent should have of them.
func keyStatus(name string, ring dnskeys.Keys) []v1alpha1.ZoneKey {
	origin, err := wire.ParseName(absolute(name), wire.Root)
	if err != nil {
		return nil
	}
	var out []v1alpha1.ZoneKey
	for _, k := range ring {
		key, err := sign.NewKey(k.Private, k.Stage)
		if err != nil {
			continue // the ring was read from keys that are good
		}
		out = append(out, v1alpha1.ZoneKey{
			Tag: int32(k.Tag), Stage: string(k.Stage), Since: metav1.NewTime(k.Since), DS: key.DSText(origin),
		})
	}
	return out
}

// digest identifies the contents of a zone: its own, and the whole with what it hands over to the zones below it.
type digest struct{ own, whole string }

// digestsOf are the digests of zones by their origins. A zone that is in the same memory as before is not read again.
func digestsOf(zones, before []zone.Zone, known map[string]digest) map[string]digest {
	former := make(map[string]zone.Zone, len(before))
	for _, z := range before {
		former[z.Origin] = z
	}
	digests := make(map[string]digest, len(zones))
	for _, z := range zones {
		was, isKnown := former[z.Origin]
		own := known[z.Origin].own
		if !isKnown || own == "" || !reflect.DeepEqual(was, z) {
			own = digestOf(z)
		}
		digests[z.Origin] = digest{own, own}
	}
	for _, child := range zones { // in the order of their names, so that the result is always the same
		for parent := child.Origin; ; {
			_, above, isMore := strings.Cut(parent, ".")
			if !isMore || above == "" {
				break
			}
			parent = above
			if d, ok := digests[parent]; ok {
				d.whole = digestOf(zone.Zone{
					Origin: d.whole + " " + child.Origin, NameServers: child.NameServers, Keys: child.Keys,
				})
				digests[parent] = d
				break
			}
		}
	}
	return digests
}

// digestOf tells contents of a zone apart. It is empty, and equal to none, if there is no telling.
func digestOf(z zone.Zone) string {
	encoded, err := json.Marshal(z)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(encoded)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
