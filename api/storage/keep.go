package storage

import (
	"context"
	"fmt"
	"path"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Keep stores a small secret of the hub itself under a name, unless something is stored there already, and returns
// what is stored: of several hubs that start together all get the same. An empty value only reads; the answer is nil
// then if nothing is stored.
//
// It lies beside the objects, so that it is in every backup, and is protected as they are: whoever may read this etcd
// may read the Secrets of the hub as well.
func (e *Etcd) Keep(ctx context.Context, name string, value []byte) ([]byte, error) {
	key := path.Join(e.prefix, "kept", name)
	read := clientv3.OpGet(key)
	txn := e.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "!=", 0)).Then(read)
	if len(value) > 0 {
		txn = txn.Else(clientv3.OpPut(key, string(value)))
	}
	answer, err := txn.Commit()
	if err != nil {
		return nil, fmt.Errorf("read %s from etcd, or store it there: %w", name, err)
	}
	if !answer.Succeeded {
		return value, nil
	}
	return answer.Responses[0].GetResponseRange().Kvs[0].Value, nil
}
