package expose

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/probescope"
)

const (
	defaultInterval = 10 * time.Second
	// shortestInterval keeps a hub from being a nuisance.
	shortestInterval = time.Second
	// probeTimeout bounds one probe, if half the interval is not shorter.
	probeTimeout = 5 * time.Second
	// probesAtOnce bounds how many run at a time; the others wait for their turn.
	probesAtOnce = 64
)

// probeKey names what is probed: a member of a GlobalService.
func probeKey(gs *v1alpha1.GlobalService, cluster string) string {
	return gs.Namespace + "/" + gs.Name + "/" + cluster
}

// probeOf is what the probes say of a member; nil: it is not probed. A replica that does not probe goes by what the one
// that does has stored.
func probeOf(
	w world, gs *v1alpha1.GlobalService, e *endpoint, before *v1alpha1.GlobalServiceCluster,
) *v1alpha1.ProbeStatus {
	if gs.Spec.Probe == nil || len(e.addresses) == 0 && e.hostname == "" {
		return nil
	}
	if verdict, ok := w.probed[probeKey(gs, e.cluster)]; ok {
		return &verdict
	}
	if before != nil {
		return before.Probe
	}
	return nil
}

// probeTask is what is to be probed: every address of a member must answer.
type probeTask struct {
	key                 string
	addresses           []string // host:port
	http                *v1alpha1.HTTPProbe
	host                string
	from                probescope.Origin
	interval            time.Duration
	failures, successes int
	before              *v1alpha1.ProbeStatus
}

// same reports whether two tasks ask the same.
func (t probeTask) same(o probeTask) bool {
	sameHTTP := t.http == nil && o.http == nil || t.http != nil && o.http != nil && t.http.Path == o.http.Path &&
		t.http.Scheme == o.http.Scheme && slices.Equal(t.http.Expect, o.http.Expect)
	return slices.Equal(t.addresses, o.addresses) && t.host == o.host && t.from == o.from && t.interval == o.interval && sameHTTP &&
		t.failures == o.failures && t.successes == o.successes
}

// tasksOf are the probes that a plan asks for.
func tasksOf(p plan) []probeTask {
	var tasks []probeTask
	for _, e := range p.exposures {
		probe := e.object.Spec.Probe
		if probe == nil {
			continue
		}
		for _, t := range e.service.Targets {
			task := probeTask{key: probeKey(e.object, t.Cluster), http: probe.HTTP, interval: defaultInterval,
				from:     originOf(e.object),
				failures: int(max(1, probe.Failures)), successes: int(max(1, probe.Successes)),
				before: e.findings[t.Cluster].probe}
			if probe.Interval != nil {
				task.interval = max(shortestInterval, probe.Interval.Duration)
			}
			port, ok := portOf(probe, e.service.Ports)
			if !ok {
				continue
			}
			if task.http != nil {
				task.host = task.http.Host
				if task.host == "" && len(e.hostnames) > 0 {
					task.host = strings.TrimSuffix(e.hostnames[0], ".")
				}
			}
			for _, a := range t.Addresses {
				task.addresses = append(task.addresses, netip.AddrPortFrom(a, port).String())
			}
			if t.Hostname != "" && len(t.Addresses) == 0 {
				task.addresses = append(task.addresses, net.JoinHostPort(t.Hostname, strconv.Itoa(int(port))))
			}
			if len(task.addresses) > 0 {
				tasks = append(tasks, task)
			}
		}
	}
	return tasks
}

// originOf says who names the addresses of a GlobalService.
func originOf(gs *v1alpha1.GlobalService) probescope.Origin {
	if len(gs.Spec.Addresses) > 0 {
		return probescope.ByHand
	}
	return probescope.ByMember
}

// portOf is the port to probe: a number, or the name of one of the exposed Service's.
func portOf(probe *v1alpha1.Probe, named []zone.Port) (uint16, bool) {
	var port intstr.IntOrString
	switch {
	case probe.HTTP != nil:
		port = probe.HTTP.Port
	case probe.TCP != nil:
		port = probe.TCP.Port
	}
	for _, p := range named {
		if port.Type == intstr.String && p.Name == port.StrVal {
			return p.Port, true
		}
	}
	number := port.IntValue()
	return uint16(number), number > 0 && number < 1<<16
}

// prober asks members from the hub, on the replica that leads.
type prober struct {
	changed func()
	now     func() time.Time
	ask     func(context.Context, probeTask) error

	mu     sync.Mutex
	probes map[string]*probe
}

// probe is one task under way.
type probe struct {
	task    probeTask
	verdict v1alpha1.ProbeStatus
	inARow  int // of the outcome that is not the verdict
	due     time.Time
	isBusy  bool
}

func newProber(scope func() probescope.Scope, changed func(), now func() time.Time) *prober {
	ask := func(ctx context.Context, t probeTask) error { return askMember(ctx, scope(), t) }
	return &prober{changed: changed, now: now, ask: ask, probes: map[string]*probe{}}
}

// want says what is to be probed from now on. What was probed before keeps its verdict; a new one counts as healthy
// until probes say otherwise, or as what was stored.
func (p *prober) want(tasks []probeTask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := make(map[string]*probe, len(tasks))
	for _, task := range tasks {
		one := p.probes[task.key]
		if one == nil || !one.task.same(task) {
			one = &probe{task: task, due: p.now(), verdict: v1alpha1.ProbeStatus{Healthy: true, Since: *stamp(p.now())}}
			if task.before != nil {
				one.verdict = *task.before
			}
		}
		wanted[task.key] = one
	}
	p.probes = wanted
}

// verdicts of all probes.
func (p *prober) verdicts() map[string]v1alpha1.ProbeStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]v1alpha1.ProbeStatus, len(p.probes))
	for key, one := range p.probes {
		out[key] = one.verdict
	}
	return out
}

// run probes what is due until the context ends.
func (p *prober) run(ctx context.Context) {
	tick := time.NewTicker(shortestInterval / 4)
	defer tick.Stop()
	turns := make(chan struct{}, probesAtOnce)
	for {
		for _, one := range p.take() {
			select {
			case <-ctx.Done():
				return
			case turns <- struct{}{}:
			}
			go func() {
				defer func() { <-turns }()
				limit, cancel := context.WithTimeout(ctx, min(probeTimeout, one.task.interval/2))
				defer cancel()
				p.settle(one, p.ask(limit, one.task))
			}()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// take are the probes that are due.
func (p *prober) take() []*probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	var due []*probe
	for _, one := range p.probes {
		if !one.isBusy && !p.now().Before(one.due) {
			one.isBusy, one.due = true, p.now().Add(one.task.interval)
			due = append(due, one)
		}
	}
	return due
}

// settle enters an outcome.
func (p *prober) settle(one *probe, err error) {
	p.mu.Lock()
	isNews := one.judge(err, p.now())
	one.isBusy = false
	if err != nil && one.verdict.Healthy { // the next one comes sooner: a failure is to be known within few intervals
		one.due = one.due.Add(-one.task.interval / 2)
	}
	p.mu.Unlock()
	if isNews {
		p.changed()
	}
}

// judge counts outcomes that contradict the verdict. It is true when the verdict turned.
func (o *probe) judge(err error, now time.Time) bool {
	var forbidden *notProbedError
	if errors.As(err, &forbidden) { // that says nothing of the member
		verdict := v1alpha1.ProbeStatus{Healthy: true, Message: notProbed + forbidden.why, Since: *stamp(now)}
		isNews := !o.verdict.Healthy || o.verdict.Message != verdict.Message
		if isNews {
			o.verdict = verdict
		}
		o.inARow = 0
		return isNews
	}
	if err == nil && o.verdict.Healthy && o.verdict.Message != "" { // it may be probed now
		o.inARow, o.verdict.Message = 0, ""
		return true
	}
	if (err == nil) == o.verdict.Healthy {
		o.inARow = 0
		return false
	}
	o.inARow++
	if err != nil && o.inARow < o.task.failures || err == nil && o.inARow < o.task.successes {
		return false
	}
	o.inARow = 0
	o.verdict = v1alpha1.ProbeStatus{Healthy: err == nil, Since: *stamp(now)}
	if err != nil {
		o.verdict.Message = err.Error()
	}
	return true
}

// askMember probes every address of a member.
func askMember(ctx context.Context, scope probescope.Scope, t probeTask) error {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error { // after names are resolved
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return &notProbedError{why: "its address cannot be read"}
		}
		if why := scope.RefusesProbe(to, t.from); why != "" {
			return &notProbedError{why: why}
		}
		return nil
	}}
	for _, address := range t.addresses {
		var err error
		if t.http != nil {
			err = askHTTP(ctx, dialer, t, address)
		} else {
			var conn net.Conn
			if conn, err = dialer.DialContext(ctx, "tcp", address); err == nil {
				conn.Close()
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", address, inOurWords(err))
		}
	}
	return nil
}

// notProbed begins the message about a member that the hub does not probe.
const notProbed = "not probed: "

// notProbedError is a probe that was not made.
type notProbedError struct{ why string }

// Error implements error.
func (e *notProbedError) Error() string { return e.why }

// What became of a probe, for people. It is all that is told: what a peer says, and how exactly it fails, is for those who
// may connect to it themselves.
var (
	errRefused    = errors.New("refused")
	errTimedOut   = errors.New("timed out")
	errUnresolved = errors.New("the name does not resolve")
	errNoRoute    = errors.New("no route")
	errTLS        = errors.New("TLS fails")
	errClosed     = errors.New("no answer")
)

// inOurWords is what an error of a probe comes to.
func inOurWords(err error) error {
	var (
		forbidden *notProbedError
		class     statusClass
		dns       *net.DNSError
		timeout   interface{ Timeout() bool }
		alert     tls.AlertError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &forbidden):
		return forbidden
	case errors.As(err, &class):
		return class
	case errors.As(err, &dns):
		return errUnresolved
	case errors.Is(err, syscall.ECONNREFUSED):
		return errRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return errNoRoute
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return errTimedOut
	case errors.As(err, &alert), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return errTLS
	}
	return errClosed
}

// statusClass is an answer that is not the one that is wanted, such as 5 for any code from 500 to 599.
type statusClass int

// Error implements error.
func (c statusClass) Error() string { return fmt.Sprintf("answers %dxx", int(c)) }

// askHTTP makes one request. It follows no redirect, keeps no connection, goes through no proxy and, as kubelets do,
// believes any certificate: what answers is asked for its health, not for secrets.
func askHTTP(ctx context.Context, dialer *net.Dialer, t probeTask, address string) error {
	url := strings.ToLower(cmp.Or(t.http.Scheme, "HTTP")) + "://" + address + "/" + strings.TrimPrefix(t.http.Path, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if t.host != "" {
		req.Host = t.host
	}
	req.Header.Set("User-Agent", "hanse-probe")
	response, err := (&http.Transport{
		DisableKeepAlives: true, DialContext: dialer.DialContext, MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}).RoundTrip(req)
	if err != nil {
		return err
	}
	response.Body.Close()
	code := int32(response.StatusCode)
	if slices.Contains(t.http.Expect, code) || len(t.http.Expect) == 0 && code >= 200 && code < 400 {
		return nil
	}
	return statusClass(code / 100)
}
