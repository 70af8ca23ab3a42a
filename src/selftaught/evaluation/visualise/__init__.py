"""Looking at what an encoder learned: kernels, attention, filters, patches and a map of the data, as image files.

`selftaught evaluate RUN DATA --probe qualitative` writes them beside its metrics:

    RUN/evaluations/qualitative-KEY.json               "files": {"encoder": "qualitative-KEY/encoder", "random": ...}
    RUN/evaluations/qualitative-KEY/encoder/index.json, kernels.png, attention.jpg, ...
    RUN/evaluations/qualitative-KEY/random/...         the same of random weights; supervised/ where it was asked for

The "value" of qualitative-KEY.json is null: images are not a metric. The folders hold the same images of the data, so
they can be shown side by side. All of it is below 2 MB.

index.json is {"format": 1, "encoder": name, "size": pixels of the encoder's input, "pictures": how many of the data
were looked at, "seed": ..., and four parts, each a sheet, a list of sheets or null}. A sheet is one image file of
equal square tiles, row by row; tile i begins at pixel ((i // columns) (tile + gap), (i % columns) (tile + gap)) from
the top left. Every sheet has

    "file"     name in the folder of index.json; PNG or JPEG
    "caption"  a sentence for under the image
    "tile"     side of a tile, pixels
    "gap"      white pixels between tiles
    "columns"  tiles in a row
    "count"    tiles in all

and, by its part, besides

    "kernels"    null where the encoder has no convolution
    "attention"  a row for each of some images: the image, then its attention at each stage laid over it
        "heads"  what each column shows: "image", then names of stages
        "keys"   the image of each row, as the data name it
        "labels" its class, null where it is not known
    "stages"     a list, first stage to last; each entry has
        "stage"     name
        "channels"  numbers of the channels shown
        "field"     [height, width] in pixels of what one position in the middle of the stage sees of its input
        "filters"   a sheet: for each channel the image that excites it most
            "start", "reached", "pictures"  lists: mean activation of the noise it began with, of the image that was
                                            reached, and the highest of any image of the data
        "patches"   a sheet: a row for each channel, the strongest patch first
            "found"  for each channel a list of {"key", "label" or null, "activation", "box": [top, left, bottom,
                     right] in pixels of the encoder's input, what the strongest position sees}; empty tiles, at the
                     end of a row, are white where fewer are found
    "map"        a sheet of thumbnails, one for each point of the map
        "method"         "tsne" or "umap"
        "neighbours"     k
        "kept"           mean share, in percent, of an image's k nearest by features that are among its k nearest on
                         the map: how far to trust the map; no metric of the encoder's worth
        "x", "y"         lists of numbers in [0, 1], one for each thumbnail, y upwards
        "keys", "labels" lists, as above

`tests/visualise/made.py` makes such a folder for tests of whatever reads it.
"""
