package zone

import (
	"errors"
	"fmt"

	"github.com/hanse-federation/hanse/dns/wire"
)

// FieldError is one thing wrong with a Config, Zone or Change. Err says what, Field where.
type FieldError struct {
	// Zone is the origin as given; empty for what lies outside of zones.
	Zone string
	// Field is the path of the field: services[2].targets[0].weight.
	Field string
	Err   error
}

// Error is "zone example.com: services[2].name: label longer than 63 octets".
func (e *FieldError) Error() string {
	if e.Zone == "" {
		return e.Field + ": " + e.Err.Error()
	}
	return "zone " + e.Zone + ": " + e.Field + ": " + e.Err.Error()
}

func (e *FieldError) Unwrap() error { return e.Err }

// What can be wrong, for errors.Is.
var (
	ErrDuplicate       = errors.New("is given twice")
	ErrOutsideZone     = errors.New("lies outside the zone")
	ErrCNAMEAtApex     = errors.New("a CNAME is not allowed at the origin (RFC 1034 section 3.6.2)")
	ErrCNAMEBesideData = errors.New("a CNAME must be the only record of its name (RFC 1034 section 3.6.2)")
	ErrConflict        = errors.New("conflicts with other records of this name")
	ErrRequired        = errors.New("is required")
	ErrOutOfRange      = errors.New("is out of range")
	ErrNotAllowed      = errors.New("is not allowed")
	ErrMalformed       = errors.New("is malformed")
	ErrTTLsDiffer      = errors.New("records of one name and type must have one TTL (RFC 2181 section 5.2)")
	ErrSerial          = errors.New("serial goes backwards (RFC 1982)")
	ErrNoZone          = errors.New("no such zone")
)

// maxProblems bounds how many errors one refusal lists.
const maxProblems = 20

// problems gathers what is wrong, so that a user sees all of it at once.
type problems struct {
	zone  string
	list  *[]error
	limit int
}

func newProblems() problems { return problems{list: new([]error), limit: maxProblems} }

func (p problems) in(zone string) problems { return problems{zone: zone, list: p.list, limit: p.limit} }

func (p problems) add(err error, field string, args ...any) {
	switch n := len(*p.list); {
	case n < p.limit:
		*p.list = append(*p.list, &FieldError{Zone: p.zone, Field: fmt.Sprintf(field, args...), Err: err})
	case n == p.limit:
		*p.list = append(*p.list, errors.New("and more"))
	}
}

// where is a place in the input: an element of a list, or a field. Its text is made only when something is wrong there.
type where struct {
	path  string
	index int       // of an element of the list at path; -1: path itself
	name  wire.Name // of several elements together, or empty
}

func field(path string) where                      { return where{path: path, index: -1} }
func element(path string, index int) where         { return where{path: path, index: index} }
func elementsOf(path string, name wire.Name) where { return where{path: path, index: -1, name: name} }

func (w where) String() string {
	switch {
	case w.name != "":
		return w.path + ": " + w.name.String()
	case w.index < 0:
		return w.path
	}
	return fmt.Sprintf("%s[%d]", w.path, w.index)
}

func (p problems) err() error { return errors.Join(*p.list...) }
