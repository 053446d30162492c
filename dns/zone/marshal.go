package zone

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// fileHead is the first line of a marshalled configuration, followed by a line with the SHA-256 of all that comes
// after.
const fileHead = "hanse dns snapshot 1\n"

// Errors of Unmarshal.
var (
	ErrNotASnapshot = errors.New("is not a DNS snapshot of a version this program knows")
	ErrDamaged      = errors.New("DNS snapshot is damaged: its checksum does not fit")
)

// Marshal puts a configuration into the form of a file, with a checksum.
func Marshal(c Config) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("marshalling DNS snapshot %d: %w", c.Serial, err)
	}
	out := make([]byte, 0, len(fileHead)+2*sha256.Size+1+len(body))
	out = append(out, fileHead...)
	out = append(checksum(out, body), '\n')
	return append(out, body...), nil
}

// Unmarshal is the inverse of Marshal. It returns ErrNotASnapshot or ErrDamaged for anything that Marshal did not write
// whole.
func Unmarshal(data []byte) (Config, error) {
	rest, ok := bytes.CutPrefix(data, []byte(fileHead))
	if !ok {
		return Config{}, ErrNotASnapshot
	}
	sum, body, ok := bytes.Cut(rest, []byte{'\n'})
	if !ok || !bytes.Equal(sum, checksum(nil, body)) {
		return Config{}, ErrDamaged
	}
	var c Config
	if err := json.Unmarshal(body, &c); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrNotASnapshot, err)
	}
	return c, nil
}

func checksum(dst, body []byte) []byte {
	sum := sha256.Sum256(body)
	return hex.AppendEncode(dst, sum[:])
}
