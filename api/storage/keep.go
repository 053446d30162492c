package storage

import (
	"context"
	"fmt"
	"path"

	clientv3 "go.etcd.io/etcd/client/v3"
	encryption "k8s.io/apiserver/pkg/storage/value"
)

// Keep stores a small secret of the hub itself under a name, unless something is stored there already, and returns
// what is stored: of several hubs that start together all get the same. An empty value only reads; the answer is nil
// then if nothing is stored.
//
// It lies beside the objects, so that it is in every backup, and is encrypted as the Secrets of the hub are.
func (e *Etcd) Keep(ctx context.Context, name string, text []byte) ([]byte, error) {
	key := path.Join(e.prefix, "kept", name)
	about, transformer := encryption.DefaultContext(key), e.transformer(secrets)
	read := clientv3.OpGet(key)
	txn := e.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "!=", 0)).Then(read)
	if len(text) > 0 {
		stored, err := transformer.TransformToStorage(ctx, text, about)
		if err != nil {
			return nil, fmt.Errorf("encrypt %s: %w", name, err)
		}
		txn = txn.Else(clientv3.OpPut(key, string(stored)))
	}
	answer, err := txn.Commit()
	if err != nil {
		return nil, fmt.Errorf("read %s from etcd, or store it there: %w", name, err)
	}
	if !answer.Succeeded {
		return text, nil
	}
	plain, _, err := transformer.TransformFromStorage(ctx, answer.Responses[0].GetResponseRange().Kvs[0].Value, about)
	if err != nil {
		return nil, fmt.Errorf("decrypt %s: %w", name, err)
	}
	return plain, nil
}
