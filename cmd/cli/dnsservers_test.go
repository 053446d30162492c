package cli

import (
	"fmt"
	"testing"
)

// TestAccountsHaveTheirOwnRoles: what one account of DNS servers is given is never taken for what another is given.
func TestAccountsHaveTheirOwnRoles(t *testing.T) {
	of := map[string]string{}
	for _, name := range []string{"edge", "edge-token", "token", "edge-token-token"} {
		for _, obj := range (dnsAccount{name: name}).objects() {
			key := fmt.Sprintf("%T %s", obj, obj.GetName())
			if other, taken := of[key]; taken && obj.GetName() != dnsRole { // which is shared
				t.Errorf("%s and %s have the same %s", other, name, key)
			}
			of[key] = name
		}
	}
}
