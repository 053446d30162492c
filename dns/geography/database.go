package geography

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/hanse-federation/hanse/dns/zone"
)

// Database places addresses. It is safe for concurrent use.
type Database struct{ reader *maxminddb.Reader }

var _ zone.Geography = (*Database)(nil)

// Open maps a database and checks it.
func Open(path string) (*Database, error) {
	reader, err := maxminddb.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the geographic database %s: %w", path, err)
	}
	if err := reader.Verify(); err != nil {
		return nil, fmt.Errorf("checking the geographic database %s: %w", path, errors.Join(err, reader.Close()))
	}
	return &Database{reader}, nil
}

// OpenOptional is Open for a file that need not be named: without a path there is no geography.
func OpenOptional(path string) (zone.Geography, error) {
	if path == "" {
		return nil, nil
	}
	database, err := Open(path)
	if err != nil {
		return nil, err
	}
	return database, nil
}

// Close unmaps the database, which must not be used after that.
func (d *Database) Close() error { return d.reader.Close() }

// Locate implements zone.Geography.
func (d *Database) Locate(addr netip.Addr) (region string, at zone.Location, scope uint8, ok bool) {
	addr = addr.Unmap()
	found := d.reader.Lookup(addr)
	if found.Err() != nil {
		return "", at, 0, false
	}
	scope = uint8(max(0, min(found.Prefix().Bits(), addr.BitLen())))
	if !found.Found() {
		return "", at, scope, false
	}
	if found.DecodePath(&region, "region") == nil && region != "" {
		return region, at, scope, true
	}
	var place struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
	}
	if found.DecodePath(&place, "location") != nil || place.Latitude == nil || place.Longitude == nil {
		return "", at, scope, false
	}
	return "", zone.Location{Latitude: *place.Latitude, Longitude: *place.Longitude}, scope, true
}
