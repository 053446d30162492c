package server

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	handlermetrics "k8s.io/apiserver/pkg/endpoints/handlers/metrics"
	apimetrics "k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/server/healthz"
	cachermetrics "k8s.io/apiserver/pkg/storage/cacher/metrics"
	etcd3metrics "k8s.io/apiserver/pkg/storage/etcd3/metrics"
	storagemetrics "k8s.io/apiserver/pkg/storage/metrics"
	fairnessmetrics "k8s.io/apiserver/pkg/util/flowcontrol/metrics"
)

// healthTimeout bounds each check of etcd.
const healthTimeout = 2 * time.Second

// addHealth adds /healthz, /livez and /readyz, and one check each as /readyz/<name>. ?verbose lists them.
//
// Live means that a restart would not help: only the process itself is asked. Ready means that requests can be
// answered: etcd, caches and what other parts added.
func (s *Server) addHealth(engine *gin.Engine) {
	live := []healthz.HealthChecker{healthz.PingHealthz}
	ready := []healthz.HealthChecker{
		healthz.PingHealthz,
		healthz.NamedCheck("serving", func(*http.Request) error {
			if s.cfg.Listener != nil && !s.ready.value.Load() {
				return errors.New("not yet, or not any more")
			}
			return nil
		}),
		healthz.NamedCheck("custom-kinds", func(*http.Request) error {
			if !s.customs.informer.Informer().HasSynced() {
				return errors.New("the CRDs are not read yet")
			}
			return nil
		}),
	}
	for _, check := range s.cfg.Etcd.Checks() {
		ready = append(ready, healthz.NamedCheck(check.Name, func(req *http.Request) error {
			ctx, cancel := context.WithTimeout(req.Context(), healthTimeout)
			defer cancel()
			return check.Run(ctx)
		}))
	}
	ready = append(ready, s.cfg.Readiness...)

	mux := http.NewServeMux()
	healthz.InstallPathHandler(mux, "/healthz", ready...)
	healthz.InstallPathHandler(mux, "/readyz", ready...)
	healthz.InstallPathHandler(mux, "/livez", live...)
	for _, path := range []string{"/healthz", "/readyz", "/livez"} {
		engine.GET(path, gin.WrapH(mux))
		engine.GET(path+"/*check", gin.WrapH(mux))
	}
}

// registerMetrics adds the metrics of the libraries to /metrics. They belong to the process, so once is enough.
var registerMetrics = sync.OnceFunc(func() {
	apimetrics.Register()
	handlermetrics.Register()
	storagemetrics.Register()
	cachermetrics.Register()
	etcd3metrics.Register()
	fairnessmetrics.Register()
})
