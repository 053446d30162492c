package zone

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fill puts something into every field, whatever fields there are: a new one that is not packed is lost, and shows.
func fill(t *testing.T, rng *rand.Rand, v reflect.Value) {
	t.Helper()
	if v.Type() == reflect.TypeFor[netip.Addr]() {
		addrs := []string{"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0"}
		v.Set(reflect.ValueOf(netip.MustParseAddr(addrs[rng.IntN(len(addrs))])))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, rng, v.Field(i))
		}
	case reflect.Slice:
		if n := rng.IntN(4); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			fill(t, rng, v.Index(i))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("%x", rng.Uint64()>>rng.IntN(64)))
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(rng.Uint64() >> (64 - v.Type().Bits()) >> rng.IntN(16))
	case reflect.Int:
		v.SetInt(rng.Int64() >> rng.IntN(63))
	case reflect.Float64:
		v.SetFloat(rng.Float64()*360 - 180)
	case reflect.Pointer:
		if rng.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, rng, v.Elem())
		}
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	default:
		t.Fatalf("a Service has a field of type %s: pack it, and fill it here", v.Type())
	}
}

// TestPack: a service comes out as it went in, and different services are different packed.
func TestPack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[packed]Service{}
	for range 2000 {
		var s Service
		fill(t, rng, reflect.ValueOf(&s).Elem())
		p := pack(&s)
		got := p.service(s.Name)
		compare := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		if diff := cmp.Diff(&s, got, compare); diff != "" {
			t.Fatalf("(-packed,+unpacked):\n%s", diff)
		}
		s.Name = ""
		if other, ok := seen[p]; ok && !cmp.Equal(s, other, compare) {
			t.Fatalf("two services are the same packed: %+v %+v", s, other)
		}
		seen[p] = s
	}
}
