"""What each score makes of a forward and a backward pass. Weights are those of convolutions and linear layers."""

from __future__ import annotations

import numpy as np
import torch

from netwright.estimate.training_free.correlation import spread

Tensors = list[torch.Tensor]


def nwot(agreement: torch.Tensor) -> float:
    """Log of the determinant of the kernel [N, N] of ReLU codes that agree (Mellor et al. 2021, section 3)."""
    return float(np.linalg.slogdet(agreement.cpu().numpy())[1])


def jacov(jacobian: torch.Tensor) -> float:
    """The spread of the images' input gradients [N, inputs] (Mellor et al. 2020, version 1)."""
    return spread(jacobian.double().cpu().numpy())


def epe_nas(jacobian: torch.Tensor, labels: torch.Tensor) -> float:
    """Sum over classes of |sum of log(|c| + 1e-5)| over the correlations c of their images' input gradients, each with
    each and itself (Lopes et al. 2021, section 3.2, up to 100 classes); minus infinity where a gradient is constant."""
    rows = jacobian.double()
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    if not bool((length > 0).all()):
        return -float("inf")
    rows = rows / length
    alike = torch.log((rows @ rows.T).abs() + 1e-5)
    return _sum([alike[labels == c][:, labels == c].sum().abs() for c in labels.unique()])


def snip(weights: Tensors, gradients: Tensors) -> float:
    """Sum of |w g| (Lee et al. 2019, "SNIP"; as a score, Abdelfattah et al. 2021, section 3.2)."""
    return _sum([(w.detach() * g).abs().sum() for w, g in zip(weights, gradients, strict=True)])


def plain(weights: Tensors, gradients: Tensors) -> float:
    """Sum of w g (Abdelfattah et al. 2021)."""
    return _sum([(w.detach() * g).sum() for w, g in zip(weights, gradients, strict=True)])


def grad_norm(weights: Tensors, gradients: Tensors) -> float:
    """Sum over layers of the Euclidean norm of the gradient (Abdelfattah et al. 2021, section 3.2)."""
    return _sum([g.norm() for g in gradients])


def grasp(weights: Tensors, curved: Tensors) -> float:
    """-sum of w times (Hessian times gradient) (Wang et al. 2020, equation 8; as a score, Abdelfattah et al. 2021)."""
    return -_sum([(w.detach() * h.detach()).sum() for w, h in zip(weights, curved, strict=True)])


def l2_norm(weights: Tensors) -> float:
    """Sum over layers of the Euclidean norm of the weights (Abdelfattah et al. 2021)."""
    return _sum([w.detach().norm() for w in weights])


def fisher(fans: list[int], activations: Tensors, gradients: Tensors) -> float:
    """Half the mean over images of (sum over places of activation times gradient)^2 of each channel, counted once for
    each of the channel's weights, `fans` of a layer's channel (Turner et al. 2020, "BlockSwap"; as a score, Abdelfattah
    et al. 2021)."""
    found = []
    for fan, a, g in zip(fans, activations, gradients, strict=True):
        saliency = (a.detach() * g).flatten(2).sum(2) if a.dim() > 2 else a.detach() * g
        found.append(0.5 * saliency.square().mean(0).sum() * fan)
    return _sum(found)


def _sum(terms: Tensors) -> float:
    return float(torch.stack([term.double() for term in terms]).sum()) if terms else 0.0
