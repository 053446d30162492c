package hub

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/access"
	"github.com/hanse-federation/hanse/api/native"
	"github.com/hanse-federation/hanse/api/server"
	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// doors say who comes in: they are built when the API's loopback answers, from rules that are stored in the hub.
type doors struct {
	ctx    context.Context
	config Config
	pki    *access.PKI
	// authorizer says what users may do; nil until open has made it.
	authorizer atomic.Pointer[authorizer.Authorizer]
}

func newDoors(ctx context.Context, config Config, pki *access.PKI) *doors {
	return &doors{ctx: ctx, config: config, pki: pki}
}

// rolesPatience is how long the first reading of roles may take.
const rolesPatience = 10 * time.Second

// open is server.Config.Access.
func (d *doors) open(loopback *rest.Config) (opened server.Access, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, rolesPatience)
	defer cancel()
	kube, err := kubernetes.NewForConfig(loopback)
	if err != nil {
		return server.Access{}, fmt.Errorf("preparing a client of the hub: %w", err)
	}
	if err := native.SeedRBAC(ctx, kube); err != nil {
		return server.Access{}, err
	}
	key, err := accountKey(ctx, kube)
	if err != nil {
		return server.Access{}, err
	}
	tokens, err := native.NewServiceAccountTokens(key, kube)
	if err != nil {
		return server.Access{}, err
	}

	factory := informers.NewSharedInformerFactory(kube, 0)
	rbac := native.NewRBAC(factory.Rbac().V1())
	life, end := context.WithCancel(d.ctx)
	stop := func() { end(); factory.Shutdown() }
	defer func() {
		if err != nil {
			stop()
		}
	}()
	factory.Start(life.Done())
	if err := rbac.WaitForSync(ctx); err != nil {
		return server.Access{}, err
	}
	options := access.AuthenticatorOptions{
		ClientCA: d.pki, TokenFile: d.config.TokenFile, ServiceAccounts: tokens, Anonymous: true,
	}
	if d.config.OIDC.IssuerURL != "" {
		options.OIDC = &d.config.OIDC
	}
	authenticator, err := access.NewAuthenticator(d.ctx, options)
	if err != nil {
		return server.Access{}, err
	}
	allow, err := access.NewAuthorizer(access.AuthorizerOptions{RBAC: rbac})
	if err != nil {
		return server.Access{}, err
	}
	d.authorizer.Store(&allow)
	return server.Access{
		Authenticator: authenticator,
		Authorizer:    allow,
		Tokens:        tokens,
		Escalates: func(ctx context.Context, obj, old runtime.Object) error {
			return rbac.CheckEscalation(ctx, allow, obj, old)
		},
		Stop: stop,
	}, nil
}

// may reports whether a user has a verb on a resource of hanse.io that has no namespace; an empty name stands for all of
// them. It answers what kubectl auth can-i does.
func (d *doors) may(ctx context.Context, who user.Info, verb, resource, name string) bool {
	asked := d.authorizer.Load()
	if asked == nil {
		return false
	}
	decision, _, err := (*asked).Authorize(ctx, authorizer.AttributesRecord{
		User: who, Verb: verb, APIGroup: v1alpha1.GroupVersion.Group, APIVersion: v1alpha1.GroupVersion.Version,
		Resource: resource, Name: name, ResourceRequest: true,
	})
	return err == nil && decision == authorizer.DecisionAllow
}

// The Secret with the key that signs ServiceAccount tokens. It is in the hub's own state, not in a file, so that all
// replicas have it and a backup includes it.
const (
	accountKeySecret = "hanse-serviceaccount-key"
	accountKeyField  = "key.pem"
)

// accountKey reads the signing key, or makes it; of two replicas that start together one makes it.
func accountKey(ctx context.Context, kube kubernetes.Interface) (crypto.Signer, error) {
	secrets := kube.CoreV1().Secrets(v1alpha1.SystemNamespace)
	stored, err := secrets.Get(ctx, accountKeySecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		var made *corev1.Secret
		if made, err = newAccountKey(); err == nil {
			stored, err = secrets.Create(ctx, made, metav1.CreateOptions{})
		}
		if apierrors.IsAlreadyExists(err) {
			stored, err = secrets.Get(ctx, accountKeySecret, metav1.GetOptions{})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key for ServiceAccount tokens: %w", err)
	}
	block, _ := pem.Decode(stored.Data[accountKeyField])
	if block == nil {
		return nil, fmt.Errorf("secret %s/%s has no PEM key in %s; delete it to get a new one",
			v1alpha1.SystemNamespace, accountKeySecret, accountKeyField)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("secret %s/%s: %w; delete it to get a new one", v1alpha1.SystemNamespace, accountKeySecret, err)
	}
	return key, nil
}

func newAccountKey() (*corev1.Secret, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.SystemNamespace, Name: accountKeySecret},
		Data:       map[string][]byte{accountKeyField: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})},
	}, nil
}
