"""Re-ranking with what `distill export` writes, on a server that has no torch.

The extra `serve` brings all that this package imports. The graph's scores are raw logits in float32:
higher is better, and they may be compared within one query only.

A folder scores as a student does with torch, long documents in passages where it was trained so::

    from distill.serving.onnx_reranker import OnnxReranker

    reranker = OnnxReranker.load("exported/encoder", threads=2)
    reranker.score_pairs("who wrote it", ["She did.", "In 1957."])

Within limits, with what was not reached below what was::

    from distill.serving.pace import Pace
    from distill.serving.ranking import Limits, rank_documents

    pace = Pace.measured(reranker)  # once, when the server starts
    found = rank_documents(reranker, query, documents, Limits(documents=100, seconds=0.05), pace=pace)
    [documents[place] for place in found.order[:10]], len(found.scores), found.deadline

`score_pairs` may be called by several threads at once. `distill.stages.rankers.open_ranker` opens such a folder or a
torch one by the same word, and `distill.serving.answering.answer_lines` is the loop of `distill rank` over JSON lines.
"""
