"""Fills and fine detail from a photo's own patches, at full resolution, without weights.

`filler.fill` fills a hole; `detail.detail` gives texture to a fill that was made small; `seam.match_seam` corrects a
fill's colours at the rim; `follow.follow` fills a second picture as the first one was; `compile.start` compiles the
kernels ahead. Pure functions of arrays: nothing else of moebius is imported here. The way down: filler -> structure,
detail -> search, features, pyramid -> kernels -> vectors.
"""
