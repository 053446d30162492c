package hub

import (
	"net"
	"net/netip"

	admissionapi "k8s.io/apiserver/pkg/admission"

	"github.com/hanse-federation/hanse/api/server"
	namesadmission "github.com/hanse-federation/hanse/federation/names/admission"
	"github.com/hanse-federation/hanse/federation/names/probescope"
	"github.com/hanse-federation/hanse/federation/template/admission"
)

// admission are the checks of what is written, in order.
func (h *Hub) admission() admissionapi.Interface {
	return admissionapi.NewChainHandler(
		&admission.Plugin{Claims: h.claims.Load, Templates: h.templates, Joined: h.joined},
		&admission.Placers{Clusters: h.clusterFacts, May: h.doors.may, Hub: server.HubUser},
		&namesadmission.Addresses{Scope: h.probeScope},
		&namesadmission.Owners{Zones: h.zonesNow, Namespaces: h.namespace, May: h.doors.may, Hub: server.HubUser},
	)
}

// probeScope is what the hub answers and probes for others: the machine's addresses can change while it runs.
func (h *Hub) probeScope() probescope.Scope {
	s := probescope.Scope{Networks: h.config.probeNetworks}
	for _, socket := range h.dns.Sockets() {
		if socket.UDP != nil {
			s.Listeners = append(s.Listeners, socket.UDP.LocalAddr().(*net.UDPAddr).AddrPort())
		} else {
			s.Listeners = append(s.Listeners, socket.TCP.Addr().(*net.TCPAddr).AddrPort())
		}
	}
	if tcp, ok := h.apiAddr.(*net.TCPAddr); ok {
		s.Listeners = append(s.Listeners, tcp.AddrPort())
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		h.log.Warn("reading the addresses of this machine", "error", err)
	}
	for _, i := range interfaces {
		if prefix, err := netip.ParsePrefix(i.String()); err == nil {
			s.Host = append(s.Host, prefix.Addr().Unmap().WithZone(""))
		}
	}
	return s
}
