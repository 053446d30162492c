package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"gopkg.in/natefinch/lumberjack.v2"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	webhooks "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/audit/buffered"
	auditlog "k8s.io/apiserver/plugin/pkg/audit/log"
	auditwebhook "k8s.io/apiserver/plugin/pkg/audit/webhook"
)

// AuditConfig says where the audit log goes, and what is in it.
type AuditConfig struct {
	// LogFile gets one line of JSON an event; "-" is standard output. Empty writes no file.
	LogFile string
	// LogMaxSize is the size in MiB at which a new file begins; 0 means 100. LogMaxBackups and LogMaxAge bound the
	// old files by number and by days; 0 keeps all.
	LogMaxSize, LogMaxBackups, LogMaxAge int
	// WebhookConfigFile is the kubeconfig of a server that is sent the events in batches. Empty sends none.
	WebhookConfigFile string
	// PolicyFile has the rules (audit.k8s.io/v1 Policy). Empty means defaultAuditPolicy.
	PolicyFile string
}

// buildAudit sets up the audit log, when there is to be one.
func (s *Server) buildAudit(c *genericserver.Config) error {
	cfg := s.cfg.Audit
	if cfg.LogFile == "" && cfg.WebhookConfigFile == "" {
		if cfg.PolicyFile != "" {
			return errors.New("an audit policy is given, but no audit log file and no audit webhook")
		}
		return nil
	}
	rules := defaultAuditPolicy
	if cfg.PolicyFile != "" {
		var err error
		if rules, err = policy.LoadPolicyFromFile(cfg.PolicyFile); err != nil {
			return fmt.Errorf("read audit policy %s: %w", cfg.PolicyFile, err)
		}
	}
	var backends []audit.Backend
	closeFile := func() error { return nil }
	if cfg.LogFile != "" {
		out, closing, err := openAuditLog(cfg)
		if err != nil {
			return err
		}
		closeFile = closing
		backends = append(backends, buffered.NewBackend(
			auditlog.NewBackend(out, auditlog.FormatJson, auditv1.SchemeGroupVersion), auditBatches))
	}
	if cfg.WebhookConfigFile != "" {
		webhook := options.NewAuditOptions().WebhookOptions // the settings of kube-apiserver
		sender, err := auditwebhook.NewBackend(cfg.WebhookConfigFile, auditv1.SchemeGroupVersion,
			webhooks.DefaultRetryBackoffWithInitialDelay(webhook.InitialBackoff), nil)
		if err != nil {
			return fmt.Errorf("read the configuration of the audit webhook %s: %w", cfg.WebhookConfigFile, err)
		}
		backends = append(backends, buffered.NewBackend(sender, webhook.BatchOptions.BatchConfig))
	}
	backend := audit.Union(backends...)
	if err := backend.Run(s.background.Done()); err != nil {
		return fmt.Errorf("start audit log: %w", err)
	}
	s.goRun(func(ctx context.Context) {
		<-ctx.Done()
		backend.Shutdown()
		_ = closeFile()
	})
	c.AuditBackend = backend
	c.AuditPolicyRuleEvaluator = policy.NewPolicyRuleEvaluator(rules)
	return nil
}

// openAuditLog opens the file, or standard output, which is not ours to close.
func openAuditLog(cfg AuditConfig) (io.Writer, func() error, error) {
	if cfg.LogFile == "-" {
		return os.Stdout, func() error { return nil }, nil
	}
	// A path that cannot be written is an error of the start, not of the first event.
	file, err := os.OpenFile(cfg.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open audit log: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, nil, fmt.Errorf("open audit log: %w", err)
	}
	rotating := &lumberjack.Logger{Filename: cfg.LogFile, MaxSize: cfg.LogMaxSize, MaxBackups: cfg.LogMaxBackups,
		MaxAge: cfg.LogMaxAge}
	return rotating, rotating.Close, nil
}

// auditBatches writes events in the background and, when they come faster than the disk takes them, drops none for as
// long as ten thousand are waiting.
var auditBatches = buffered.BatchConfig{BufferSize: 10000, MaxBatchSize: 1, AsyncDelegate: false}

// defaultAuditPolicy records who did what, once, without bodies. Reads and watches are recorded as well, since whoever
// watches Secrets reads them all; only the hub itself reads unrecorded.
var defaultAuditPolicy = &auditinternal.Policy{
	OmitStages: []auditinternal.Stage{auditinternal.StageRequestReceived},
	Rules: []auditinternal.PolicyRule{
		{Level: auditinternal.LevelNone, Users: []string{HubUser}, Verbs: []string{"get", "list", "watch"}},
		{Level: auditinternal.LevelMetadata, Resources: []auditinternal.GroupResources{
			{Resources: []string{"secrets", "configmaps", "serviceaccounts/token"}}}},
		{Level: auditinternal.LevelNone, Users: []string{HubUser}, Resources: quietResources},
		{Level: auditinternal.LevelMetadata, Namespaces: []string{"hanse-system"}},
		{Level: auditinternal.LevelNone, Resources: quietResources},
		{Level: auditinternal.LevelNone, NonResourceURLs: []string{"/healthz*", "/livez*", "/readyz*", "/metrics", "/version"}},
		{Level: auditinternal.LevelMetadata},
	},
}

// quietResources are written all the time, and nobody asks about them later.
var quietResources = []auditinternal.GroupResources{
	{Group: "coordination.k8s.io", Resources: []string{"leases"}}, {Resources: []string{"events"}},
	{Group: "events.k8s.io", Resources: []string{"events"}},
}
