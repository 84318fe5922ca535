"""Names that a graph from a `.pt2` file may hold: operators of torch's aten, and texts among their arguments."""

_NAMES = """
abs.default acos.default acosh.default adaptive_avg_pool1d.default _adaptive_avg_pool2d.default
adaptive_avg_pool2d.default adaptive_avg_pool3d.default adaptive_max_pool1d.default adaptive_max_pool2d.default
add.Scalar add.Tensor add_.Scalar add_.Tensor addcdiv.default addcmul.default addcmul_.default addmm.default
addmv.default alias.default all.default all.dim amax.default amin.default __and__.Scalar __and__.Tensor any.default
any.dim any.dims arange.default arange.start arange.start_step argmax.default argmin.default argsort.default
as_strided.default asin.default asinh.default _assert_async.msg _assert_scalar.default _assert_tensor_metadata.default
atan.default atan2.default atanh.default atleast_1d.default avg_pool1d.default avg_pool2d.default avg_pool3d.default
baddbmm.default batch_norm.default bilinear.default bitwise_and.Scalar bitwise_and.Tensor bitwise_not.default
bitwise_or.Scalar bitwise_or.Tensor bitwise_xor.Tensor bmm.default broadcast_tensors.default broadcast_to.default
bucketize.Tensor cat.default cdist.default ceil.default celu.default celu_.default channel_shuffle.default chunk.default
clamp.default clamp.Tensor clamp_.default clamp_max.default clamp_max_.default clamp_min.default clamp_min_.default
clone.default col2im.default complex.default concat.default constant_pad_nd.default contiguous.default conv1d.default
conv1d.padding conv2d.default conv2d.padding conv3d.default conv3d.padding conv_transpose1d.default
conv_transpose2d.input conv_transpose3d.input convolution.default copy.default copy_.default copysign.Tensor cos.default
cosh.default cosine_similarity.default count_nonzero.default cummax.default cummin.default cumprod.default
cumsum.default detach.default detach_.default diag.default diagonal.default diff.default digamma.default div.Scalar
div.Scalar_mode div.Tensor div.Tensor_mode div_.Scalar div_.Tensor dot.default dropout.default dropout_.default
einsum.default elu.default elu_.default embedding.default _embedding_bag.default empty.memory_format empty_like.default
eq.Scalar eq.Tensor erf.default erfc.default erfinv.default exp.default exp2.default exp_.default expand.default
expand_as.default expm1.default eye.default eye.m fake_quantize_per_channel_affine_cachemask.default
fake_quantize_per_tensor_affine_cachemask.default feature_dropout.default fft_fft.default fft_fft2.default
fft_fftn.default fft_fftshift.default fft_ifft.default fft_ifft2.default fft_ifftn.default fft_ifftshift.default
fft_irfft.default fft_irfft2.default fft_irfftn.default fft_rfft.default fft_rfft2.default fft_rfftn.default fill.Scalar
fill.Tensor fill_.Scalar fill_.Tensor flatten.using_ints flip.default floor.default floor_.default floor_divide.default
floor_divide.Scalar fmod.Scalar fmod.Tensor frac.default full.default full_like.default gather.default ge.Scalar
ge.Tensor gelu.default gelu_.default glu.default grid_sampler.default grid_sampler_2d.default grid_sampler_3d.default
group_norm.default gru.input gt.Scalar gt.Tensor hardsigmoid.default hardsigmoid_.default hardswish.default
hardswish_.default hardtanh.default hardtanh_.default histc.default hstack.default huber_loss.default hypot.default
im2col.default imag.default index.Tensor index_add.default index_add_.default index_copy.default index_fill.int_Scalar
index_put.default index_put_.default index_select.default instance_norm.default isclose.default isfinite.default
isinf.default isnan.default item.default kthvalue.default layer_norm.default le.Scalar le.Tensor leaky_relu.default
leaky_relu_.default lerp.Scalar lerp.Tensor lgamma.default lift_fresh.default lift_fresh_copy.default
linalg_householder_product.default linalg_inv.default linalg_matrix_exp.default linalg_solve.default
linalg_vector_norm.default linear.default linspace.default log.default log10.default log1p.default log2.default
log_.default log_sigmoid.default _log_softmax.default log_softmax.int logaddexp.default logaddexp2.default
logcumsumexp.default logical_and.default logical_not.default logical_or.default logical_xor.default logit.default
logsumexp.default lstm.input lt.Scalar lt.Tensor masked_fill.Scalar masked_fill.Tensor masked_fill_.Scalar
masked_fill_.Tensor masked_scatter.default masked_select.default matmul.default max.default max.dim max.other
max_pool1d.default max_pool1d_with_indices.default max_pool2d.default max_pool2d_with_indices.default max_pool3d.default
maximum.default mean.default mean.dim median.default median.dim meshgrid.indexing min.default min.dim min.other
minimum.default mish.default mish_.default mm.default movedim.int mul.Scalar mul.Tensor mul_.Scalar mul_.Tensor
multiply.Scalar multiply.Tensor mv.default nan_to_num.default narrow.default
_native_batch_norm_legit_no_training.default native_group_norm.default native_layer_norm.default ne.Scalar ne.Tensor
neg.default neg_.default new_empty.default new_full.default new_ones.default new_zeros.default nonzero.default
norm.Scalar norm.ScalarOpt_dim numpy_T.default one_hot.default ones.default ones_like.default __or__.Scalar
__or__.Tensor outer.default pad.default pairwise_distance.default permute.default pixel_shuffle.default
pixel_unshuffle.default polar.default pow.Scalar pow.Tensor_Scalar pow.Tensor_Tensor pow_.Scalar prelu.default
prod.default prod.dim_int real.default reciprocal.default reflection_pad1d.default reflection_pad2d.default relu.default
relu6.default relu6_.default relu_.default remainder.Scalar remainder.Tensor repeat.default repeat_interleave.self_int
repeat_interleave.self_Tensor repeat_interleave.Tensor replication_pad1d.default replication_pad2d.default
reshape.default reshape_as.default rms_norm.default roll.default round.default rsqrt.default rsqrt_.default rsub.Scalar
rsub.Tensor scalar_tensor.default scaled_dot_product_attention.default scatter.src scatter.value scatter_.src
scatter_.value scatter_add.default scatter_add_.default scatter_reduce.two searchsorted.Tensor select.int
select_scatter.default selu.default selu_.default sigmoid.default sigmoid_.default sign.default silu.default
silu_.default sin.default sinh.default slice.Tensor slice_scatter.default _softmax.default softmax.int softplus.default
sort.default special_i0.default split.default split.Tensor split_with_sizes.default sqrt.default sqrt_.default
square.default squeeze.default squeeze.dim squeeze.dims squeeze_.dim stack.default std.correction std.default std.dim
stft.center stft.default sub.Scalar sub.Tensor sub_.Scalar sub_.Tensor sum.default sum.dim_IntList swapaxes.default
sym_constrain_range.default sym_constrain_range_for_size.default sym_numel.default sym_size.int sym_stride.int t.default
tan.default tanh.default tanh_.default tensor_split.sections threshold.default tile.default to.device to.dtype
to.dtype_layout to.other _to_copy.default topk.default transpose.int tril.default tril_.default tril_indices.default
triu.default triu_.default triu_indices.default trunc.default type_as.default unbind.int unflatten.int unfold.default
unsafe_chunk.default unsafe_split.Tensor _unsafe_view.default unsqueeze.default unsqueeze_.default
upsample_bicubic2d.vec _upsample_bicubic2d_aa.default _upsample_bicubic2d_aa.vec upsample_bilinear2d.default
upsample_bilinear2d.vec _upsample_bilinear2d_aa.default _upsample_bilinear2d_aa.vec upsample_linear1d.vec
upsample_nearest1d.vec upsample_nearest2d.default upsample_nearest2d.vec upsample_trilinear3d.vec var.correction
var.default var.dim var_mean.correction vdot.default view.default view_as.default view_as_complex.default
view_as_real.default vstack.default _weight_norm.default where.default where.Scalar where.ScalarOther where.ScalarSelf
where.self xlogy.Tensor __xor__.Scalar __xor__.Tensor zero_.default zeros.default zeros_like.default
"""
ALLOWED = frozenset(_NAMES.split())

# Checks made while exporting; without effect on the result, and wrong once a dtype or device has changed.
_IGNORED_NAMES = """
_assert_async.msg _assert_scalar.default _assert_tensor_metadata.default sym_constrain_range.default
sym_constrain_range_for_size.default
"""
IGNORED = frozenset(_IGNORED_NAMES.split())

_OPTIONS = """
none tanh trunc floor constant reflect replicate circular ij xy valid same mean sum prod amax amin
ortho forward backward
"""
STRINGS = frozenset(_OPTIONS.split())
