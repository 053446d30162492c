package hub

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/answer"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// explainPath tells why a name is answered as it is.
const explainPath = "/dns/explain"

// explainDNS answers ?name=NAME&type=TYPE&from=ADDRESS with an explanation for people.
func (h *Hub) explainDNS(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	name, err := wire.ParseName(query.Get("name"), wire.Root)
	kind, known := dns.StringToType[strings.ToUpper(cmp.Or(query.Get("type"), "A"))]
	from, fromErr := netip.ParseAddr(cmp.Or(query.Get("from"), netip.IPv4Unspecified().String()))
	switch {
	case err != nil || query.Get("name") == "":
		http.Error(w, "name: "+fmt.Sprint(cmp.Or(err, errors.New("is missing"))), http.StatusBadRequest)
		return
	case !known:
		http.Error(w, "type: is no type of DNS record", http.StatusBadRequest)
		return
	case fromErr != nil:
		http.Error(w, "from: "+fromErr.Error(), http.StatusBadRequest)
		return
	}
	snapshot := h.zones.Snapshot()
	if snapshot == nil {
		http.Error(w, "nothing is answered yet; try again in a moment", http.StatusServiceUnavailable)
		return
	}
	explanation, err := answer.Explain(snapshot, name, wire.Type(kind), zone.Client{
		Addr: from, Geography: h.places, Random: rand.Uint64(), Window: uint64(time.Now().Unix()) / zone.WindowSeconds,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprint(w, explanation)
}
