package transparency

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"

	"github.com/wattveil/wattveil/internal/folder"
)

// Log is a TTP's log on disk. It is safe for concurrent use.
type Log struct {
	origin   string
	verifier note.Verifier
	appender *tessera.Appender
	reader   tessera.LogReader
	await    *tessera.PublicationAwaiter
	shutdown func(context.Context) error
	stop     context.CancelFunc
}

const (
	tilesFolder = "tiles"
	keyFile     = "log.key"

	batchSize      = 1024
	batchAge       = 20 * time.Millisecond
	publishEvery   = 100 * time.Millisecond
	awaitPoll      = 10 * time.Millisecond
	shutdownWithin = 5 * time.Second
)

// silence turns off the log lines of the library, which has no other switch,
// once and before it runs.
var silence = sync.OnceFunc(func() { klog.SetLogger(logr.Discard()) })

// Open opens the log in a folder, and makes its key if it is missing. origin
// names the log in its checkpoints, such as wattveil.example/bills.
func Open(ctx context.Context, dir, origin string) (*Log, error) {
	silence()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open bill log: %w", err)
	}
	signer, verifier, err := loadKey(filepath.Join(dir, keyFile), origin)
	if err != nil {
		return nil, fmt.Errorf("open bill log: %w", err)
	}
	driver, err := posix.New(ctx, posix.Config{Path: filepath.Join(dir, tilesFolder)})
	if err != nil {
		return nil, fmt.Errorf("open bill log: %w", err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	appender, shutdown, reader, err := tessera.NewAppender(background, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(batchSize, batchAge).
		WithCheckpointInterval(publishEvery))
	if err != nil {
		stop()
		return nil, fmt.Errorf("open bill log: %w", err)
	}
	return &Log{
		origin: origin, verifier: verifier, appender: appender, reader: reader,
		await:    tessera.NewPublicationAwaiter(background, reader.ReadCheckpoint, awaitPoll),
		shutdown: shutdown, stop: stop,
	}, nil
}

// loadKey reads the key that signs checkpoints, or draws one.
func loadKey(path, origin string) (note.Signer, note.Verifier, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		private, _, genErr := note.GenerateKey(rand.Reader, origin)
		if genErr != nil {
			return nil, nil, fmt.Errorf("log key: %w", genErr)
		}
		raw, err = []byte(private), folder.WriteFile(path, []byte(private), 0o600)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("log key: %w", err)
	}
	return signerOf(string(raw))
}

// PublicKey is the log's verifier key in the form of C2SP signed-note.
func (l *Log) PublicKey() (string, error) {
	key, ok := l.verifier.(interface{ String() string })
	if !ok {
		return "", errors.New("log key has no public form")
	}
	return key.String(), nil
}

// Origin is the log's name in its checkpoints.
func (l *Log) Origin() string { return l.origin }

// Add appends entries and returns their indices once a signed checkpoint
// covers all of them. They are durable then. The same entry added twice has
// two indices.
func (l *Log) Add(ctx context.Context, entries []Entry) ([]uint64, error) {
	futures := make([]tessera.IndexFuture, len(entries))
	for i := range entries {
		futures[i] = l.appender.Add(ctx, tessera.NewEntry(entries[i][:]))
	}
	indices := make([]uint64, len(entries))
	var last tessera.IndexFuture
	for i, f := range futures {
		index, err := f()
		if err != nil {
			return nil, fmt.Errorf("append to bill log: %w", err)
		}
		indices[i] = index.Index
		if last == nil || index.Index > indices[max(i-1, 0)] {
			last = f
		}
	}
	if last == nil {
		return indices, nil
	}
	if _, _, err := l.await.Await(ctx, last); err != nil {
		return nil, fmt.Errorf("publish bill log: %w", err)
	}
	return indices, nil
}

// SignedCheckpoint is a checkpoint that the log has signed.
type SignedCheckpoint struct {
	Text string
	Size uint64
	// Consistency proves that it continues the log of the size asked for.
	Consistency [][]byte
}

// Checkpoint is the newest signed checkpoint, and the proof that it continues
// a log of size since (none for size 0).
func (l *Log) Checkpoint(ctx context.Context, since uint64) (SignedCheckpoint, error) {
	signed, err := l.reader.ReadCheckpoint(ctx)
	if err != nil {
		return SignedCheckpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	cp, _, _, err := log.ParseCheckpoint(signed, l.origin, l.verifier)
	if err != nil {
		return SignedCheckpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	out := SignedCheckpoint{Text: string(signed), Size: cp.Size}
	out.Consistency, err = l.Consistency(ctx, since, cp.Size)
	return out, err
}

// Consistency proves that the log of a size continues that of size since. From
// size 0, and to one that is no larger, there is nothing to prove.
func (l *Log) Consistency(ctx context.Context, since, size uint64) ([][]byte, error) {
	if since == 0 || since >= size {
		return nil, nil
	}
	builder, err := client.NewProofBuilder(ctx, size, l.reader.ReadTile)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	hashes, err := builder.ConsistencyProof(ctx, since, size)
	if err != nil {
		return nil, fmt.Errorf("prove consistency from %d to %d: %w", since, size, err)
	}
	return hashes, nil
}

// Close waits for what was added and closes the log.
func (l *Log) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownWithin)
	defer cancel()
	err := l.shutdown(ctx)
	l.stop()
	if err != nil {
		return fmt.Errorf("close bill log: %w", err)
	}
	return nil
}

// signerOf reads a note signing key and gives both of its halves.
func signerOf(private string) (note.Signer, note.Verifier, error) {
	seed, name, err := seedOf(private)
	if err != nil {
		return nil, nil, err
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, nil, fmt.Errorf("log key: %w", err)
	}
	public, err := note.NewEd25519VerifierKey(name, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, nil, fmt.Errorf("log key: %w", err)
	}
	verifier, err := newVerifier(public)
	return signer, verifier, err
}
