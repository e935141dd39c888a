package transparency

import (
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
)

// tree finds nodes of a log of one size. It reads each tile once and computes
// what is between its rows once, where the library's builder computes the nodes
// of each path anew: the entries of a billing run are neighbours, and share
// most of their tiles.
type tree struct {
	size  uint64
	fetch client.TileFetcherFunc
	tiles map[tileName]tileRows
}

type tileName struct{ level, index uint64 }

// tileRows is the nodes of a tile, from its lowest row up.
type tileRows [][][]byte

// Inclusion proves entries in the tree of a size, each by its index.
func (l *Log) Inclusion(ctx context.Context, size uint64, indices []uint64) ([][][]byte, error) {
	t := tree{size: size, fetch: l.reader.ReadTile, tiles: make(map[tileName]tileRows)}
	paths := make([][][]byte, len(indices))
	for i, index := range indices {
		var err error
		if paths[i], err = t.path(ctx, index); err != nil {
			return nil, fmt.Errorf("prove inclusion of %d in %d: %w", index, size, err)
		}
	}
	return paths, nil
}

func (t *tree) path(ctx context.Context, index uint64) ([][]byte, error) {
	nodes, err := proof.Inclusion(index, t.size)
	if err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		if hashes[i], err = t.node(ctx, id); err != nil {
			return nil, err
		}
	}
	return nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}

func (t *tree) node(ctx context.Context, id compact.NodeID) ([]byte, error) {
	level, index, row, at := layout.NodeCoordsToTileAddress(uint64(id.Level), id.Index)
	rows, ok := t.tiles[tileName{level, index}]
	if !ok {
		raw, err := t.fetch(ctx, level, index, layout.PartialTileSize(level, index, t.size))
		if err != nil {
			return nil, err
		}
		if rows, err = parseTile(raw); err != nil {
			return nil, err
		}
		t.tiles[tileName{level, index}] = rows
	}
	if row >= uint(len(rows)) || at >= uint64(len(rows[row])) {
		return nil, errors.New("a tile of the log is too short")
	}
	return rows[row][at], nil
}

func parseTile(raw []byte) (tileRows, error) {
	var tile api.HashTile
	if err := tile.UnmarshalText(raw); err != nil {
		return nil, err
	}
	rows := tileRows{tile.Nodes}
	for below := tile.Nodes; len(below) > 1; below = rows[len(rows)-1] {
		row := make([][]byte, len(below)/2)
		for i := range row {
			row[i] = rfc6962.DefaultHasher.HashChildren(below[2*i], below[2*i+1])
		}
		rows = append(rows, row)
	}
	return rows, nil
}
