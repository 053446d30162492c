package proxy

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// Proxy carries requests to members. Make one with New.
type Proxy struct {
	ctx     context.Context
	hub     client.Reader
	options member.Options
	now     func() time.Time
	log     *log.Logger // of broken streams: whose, their ends know

	mu    sync.Mutex
	doors map[string]door
}

// door is the way to one member, for as long as its Cluster lives.
type door struct {
	guest *member.Guest
	of    types.UID
	life  context.Context
	end   context.CancelFunc
}

// New makes a proxy whose connections end with the context. It reads Clusters and their Secrets with hub, for every
// request: from a cache.
func New(ctx context.Context, hub client.Reader, options member.Options, now func() time.Time) *Proxy {
	return &Proxy{
		ctx: ctx, hub: hub, options: options, now: now, doors: map[string]door{},
		log: slog.NewLogLogger(options.Logger.Handler(), slog.LevelDebug),
	}
}

// Handler answers requests for one member as the caller. It wants the member's own path in the request; what is ahead
// of it, /clusters/<name>, is prefix.
func (p *Proxy) Handler(name, prefix string, caller user.Info) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		guest, err := p.open(req.Context(), name)
		if err == nil {
			err = checkPath(req.URL)
		}
		if err != nil {
			answer(w, req, err)
			return
		}
		e := exchange{proxy: p, guest: guest, name: name, prefix: prefix, caller: caller}
		e.reverseProxy().ServeHTTP(w, req)
	})
}

// open finds the way to a member, or says why there is none.
func (p *Proxy) open(ctx context.Context, name string) (*member.Guest, error) {
	cluster := &v1alpha1.Cluster{}
	err := p.hub.Get(ctx, client.ObjectKey{Name: name}, cluster)
	if apierrors.IsNotFound(err) {
		p.shut(name)
		missing := apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("clusters").GroupResource(), name)
		missing.ErrStatus.Message += "; hanse clusters lists those that there are"
		return nil, missing
	}
	if err != nil {
		return nil, fmt.Errorf("reading cluster %s: %w", name, err)
	}
	if err := p.away(cluster); err != nil {
		return nil, err
	}
	spec, err := enroll.Connection(ctx, p.hub, cluster)
	if err != nil {
		return nil, unavailable("cluster %s cannot be reached: %v", name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.doors[name]
	if ok && d.of != cluster.UID { // it left, and another joined under its name
		d.end()
		ok = false
	}
	switch {
	case !ok:
		d = door{of: cluster.UID}
		d.life, d.end = context.WithCancel(p.ctx)
	case d.guest.Same(spec.Config):
		return d.guest, nil
	default:
		d.guest.Retire()
	}
	d.guest = member.NewGuest(d.life, spec.Config, p.options)
	p.doors[name] = d
	return d.guest, nil
}

// shut ends what goes on with a member that has left.
func (p *Proxy) shut(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.doors[name]; ok {
		known.end()
		delete(p.doors, name)
	}
}

// away says since when a member that answers nothing is away.
func (p *Proxy) away(cluster *v1alpha1.Cluster) error {
	ready := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ClusterConditionReady)
	if ready == nil || ready.Status == "True" || !member.Reason(ready.Reason).IsAway() {
		return nil
	}
	since := "it has never answered"
	if seen := cluster.Status.LastSeen; seen != nil {
		since = fmt.Sprintf("it last answered at %s, %s ago", seen.UTC().Format("2006-01-02 15:04:05 MST"),
			duration.HumanDuration(p.now().Sub(seen.Time)))
	}
	return unavailable("cluster %s is away: %s (%s: %s)", cluster.Name, since, ready.Reason, ready.Message)
}

// unavailable is 503. It has no Retry-After: client-go would ask again ten times before it told anybody.
func unavailable(format string, args ...any) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf(format, args...))
}

// badGateway is 502: the member answered, and the answer is not fit to be passed on.
func badGateway(format string, args ...any) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusBadGateway, Message: fmt.Sprintf(format, args...),
	}}
}

// checkPath refuses ways up: the member may lie below a path of a server that has others, too.
func checkPath(u *url.URL) error {
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == ".." || segment == "." {
			return apierrors.NewBadRequest(fmt.Sprintf("the path %q has a %q in it", u.Path, segment))
		}
	}
	return nil
}

// exchange is one request on its way.
type exchange struct {
	proxy        *Proxy
	guest        *member.Guest
	name, prefix string
	caller       user.Info
}

// proxy is the standard library's: it copies streams as they come, and joins the two connections after an upgrade.
func (e exchange) reverseProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      finalOnly{transport.NewImpersonatingRoundTripper(whoIs(e.caller), e.guest)},
		FlushInterval:  -1, // at once: logs and watches are read as they come
		ModifyResponse: e.received,
		ErrorHandler:   e.failed,
		ErrorLog:       e.proxy.log,
	}
}

// received looks at an answer before it is passed on. What a member must not say to somebody who talks to the hub becomes
// an error of the hub's.
func (e exchange) received(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusSwitchingProtocols:
		asked, given := resp.Request.Header.Get("Upgrade"), resp.Header.Get("Upgrade")
		if asked == "" || !strings.EqualFold(asked, given) {
			return badGateway("cluster %s changes the protocol to %q, which nobody asked for; the hub does not follow",
				e.name, printable.Line(given, maxQuoted))
		}
	case code >= 300 && code < 400 && code != http.StatusNotModified:
		return badGateway("cluster %s answers with a redirect (%d) to %q. No Kubernetes API does that, and the hub does not"+
			" pass it on, since your client would send your credentials there. Check spec.connection.server of the Cluster, and"+
			" who runs what answers there", e.name, code, printable.Line(resp.Header.Get("Location"), maxQuoted))
	case code < 200 || code > 599:
		return badGateway("cluster %s answers with the status %d, which HTTP does not have", e.name, code)
	}
	disarm(resp.Header, e.prefix)
	if resp.StatusCode == http.StatusForbidden {
		return e.explainForbidden(resp)
	}
	return nil
}

// maxQuoted is how much of a member's words goes into an error of the hub's.
const maxQuoted = 200

// failed answers for a member that did not.
func (e exchange) failed(w http.ResponseWriter, req *http.Request, err error) {
	if req.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody listens any more
	}
	var told *apierrors.StatusError
	if errors.As(err, &told) {
		answer(w, req, told)
		return
	}
	_, message := e.guest.Explain(err)
	e.proxy.log.Printf("a request to member %s failed: %v", e.name, err)
	answer(w, req, unavailable("cluster %s does not answer: %s", e.name, message))
}
