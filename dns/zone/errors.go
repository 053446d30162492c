package zone

import (
	"errors"
	"fmt"
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
	zone string
	list *[]error
}

func newProblems() problems { return problems{list: new([]error)} }

func (p problems) in(zone string) problems { return problems{zone: zone, list: p.list} }

func (p problems) add(err error, field string, args ...any) {
	switch n := len(*p.list); {
	case n < maxProblems:
		*p.list = append(*p.list, &FieldError{Zone: p.zone, Field: fmt.Sprintf(field, args...), Err: err})
	case n == maxProblems:
		*p.list = append(*p.list, errors.New("and more"))
	}
}

func (p problems) err() error { return errors.Join(*p.list...) }
