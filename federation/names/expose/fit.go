package expose

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hanse-federation/hanse/dns/zone"
)

// fit adds to a zone what of some pieces fits, the earlier before the later: one that does not keeps back no other.
// refuse gets the others. add must copy what it appends to.
func fit[T any](z *zone.Zone, pieces []T, add func(*zone.Zone, T), refuse func(T, error)) {
	if len(pieces) == 0 {
		return
	}
	with := *z
	with.Records, with.Services = slices.Clip(z.Records), slices.Clip(z.Services)
	for _, piece := range pieces {
		add(&with, piece)
	}
	err := zone.Check(with)
	switch {
	case err == nil:
		*z = with
	case len(pieces) == 1:
		refuse(pieces[0], err)
	default:
		half := len(pieces) / 2
		fit(z, pieces[:half], add, refuse)
		fit(z, pieces[half:], add, refuse)
	}
}

// keepServices takes those services out of a zone that cannot be served beside its records and the services before
// them. The error is what is wrong with the zone itself.
func (p *plan) keepServices(w world, z *zone.Zone) error {
	if before, isKnown := w.fitting[z.Origin]; isKnown && reflect.DeepEqual(before, *z) {
		p.fitting[z.Origin] = before
		return nil
	}
	if zone.Check(*z) == nil {
		p.fitting[z.Origin] = *z
		return nil
	}
	misfits, err := zone.Misfits(*z)
	if err != nil {
		return err
	}
	kept := make([]zone.Service, 0, len(z.Services))
	for i, s := range z.Services {
		if why := misfits[i]; why != nil {
			p.refuse(s.Name, why)
			continue
		}
		kept = append(kept, s)
	}
	z.Services = kept
	return zone.Check(*z)
}

// addImports adds what clusters export to one another, each ServiceImport as far as it can be answered. A name that the
// Zone or a GlobalService has already is theirs.
func (p *plan) addImports(w world, z *zone.Zone) {
	fit(z, []zone.Record{versionRecord()}, addRecord, func(zone.Record, error) {}) // the Zone may have its own
	taken := map[string]string{}
	for i := range z.Records {
		taken[within(z.Origin, z.Records[i].Name)] = "the Zone"
	}
	for i := range z.Services {
		s := &z.Services[i]
		taken[s.Name] = "a GlobalService"
		for _, port := range s.Ports {
			taken[strings.ToLower("_"+port.Name+"._"+port.Protocol+"."+s.Name)] = "a GlobalService"
		}
	}
	all := importsOf(w)
	pieces := make([]*imported, 0, len(all))
	for i := range all {
		m := &all[i]
		m.yield(z.Origin, taken)
		pieces = append(pieces, m)
	}
	add := func(z *zone.Zone, m *imported) {
		z.Records = append(z.Records, m.records...)
		for _, name := range m.empty {
			z.Services = append(z.Services, zone.Service{Name: name, TTL: clusterSetTTL})
		}
	}
	fit(z, pieces, add, func(m *imported, err error) { m.fault("it is not served: %v", err) })
	for _, m := range pieces {
		if len(m.faults) > 0 {
			p.unserved = append(p.unserved, unserved{object: m.object, why: summary(m.faults)})
		}
	}
}

// yield leaves out what has a name that is taken.
func (m *imported) yield(origin string, taken map[string]string) {
	told := map[string]bool{}
	isTaken := func(name string) bool {
		by := taken[within(origin, name)]
		if by != "" && !told[name] {
			told[name] = true
			m.fault("%s is a name of %s already", name, by)
		}
		return by != ""
	}
	m.records = slices.DeleteFunc(m.records, func(r zone.Record) bool { return isTaken(r.Name) })
	m.empty = slices.DeleteFunc(m.empty, isTaken)
}

// maxFaults bounds how many faults of one object are listed.
const maxFaults = 5

// summary lists faults, each once, and not too many.
func summary(faults []string) string {
	slices.Sort(faults)
	faults = slices.Compact(faults)
	if more := len(faults) - maxFaults; more > 0 {
		faults = append(faults[:maxFaults:maxFaults], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(faults, "; ")
}

func addRecord(z *zone.Zone, r zone.Record) { z.Records = append(z.Records, r) }

// addUpdates adds the records that others have written, as far as they fit beside what the zone has.
func addUpdates(w world, name string, z *zone.Zone) error {
	written, err := w.updates(name)
	if err != nil {
		return err
	}
	var misfits []string
	fit(z, written, addRecord, func(r zone.Record, _ error) { misfits = append(misfits, r.Name+" "+r.Type) })
	if len(misfits) > 0 {
		return fmt.Errorf("written by updates, but not served, since it does not fit the zone: %s", strings.Join(misfits, ", "))
	}
	return nil
}

// addFault notes what of a zone is not served, while the rest is.
func (p *plan) addFault(zone string, fault error) {
	if fault != nil {
		p.faults[zone] = errors.Join(p.faults[zone], fault)
	}
}
