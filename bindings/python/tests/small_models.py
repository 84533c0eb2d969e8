"""Models of transformers with multi-scale deformable attention, small, with random weights: nothing is downloaded."""

import torch
import transformers
from transformers import (
    DeformableDetrConfig, DFineConfig, GroundingDinoConfig, HGNetV2Config, LwDetrConfig, Mask2FormerConfig,
    MMGroundingDinoConfig, OmDetTurboConfig, OneFormerConfig, ResNetConfig, RTDetrConfig, RTDetrResNetConfig,
    RTDetrV2Config, SwinConfig,
)  # fmt: skip

HEIGHT, WIDTH = 64, 96
SIZES = dict(d_model=32, decoder_attention_heads=4, decoder_ffn_dim=32, decoder_layers=2)
ENCODER = dict(encoder_attention_heads=4, encoder_ffn_dim=32, encoder_layers=2)
RT_DETR = dict(
    SIZES, encoder_hidden_dim=32, encoder_in_channels=[16, 24, 32], decoder_in_channels=[32, 32, 32],
    encoder_attention_heads=4, encoder_ffn_dim=32, num_queries=12, hidden_expansion=0.5, num_labels=5,
)  # fmt: skip
RT_DETR_RESNET = RTDetrResNetConfig(
    embedding_size=16, hidden_sizes=[16, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic", out_indices=[2, 3, 4]
)


def resnet(*out_indices):
    return ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_indices=list(out_indices),
    )  # fmt: skip


def swin(*out_indices):
    return SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_indices=list(out_indices),
    )  # fmt: skip


def hgnet(first=2):
    return HGNetV2Config(
        stem_channels=[3, 8, 8], stage_in_channels=[8, 8, 16, 24], stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 16, 24, 32], stage_num_blocks=[1, 1, 1, 1], stage_numb_of_layers=[1, 1, 1, 1],
        stage_downsample=[False, True, True, True], stage_light_block=[False] * 4, stage_kernel_size=[3] * 4,
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], out_indices=list(range(first, 5)),
    )  # fmt: skip


def bert():
    return dict(
        model_type="bert", vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40,
    )  # fmt: skip


def images(batch=2):
    return {"pixel_values": torch.randn(batch, 3, HEIGHT, WIDTH)}


def deformable_detr():
    config = DeformableDetrConfig(
        backbone_config=resnet(2, 3, 4), num_queries=12, num_labels=5, **SIZES, **ENCODER, with_box_refine=True
    )
    return transformers.DeformableDetrForObjectDetection(config), images()


def rt_detr():
    return transformers.RTDetrForObjectDetection(RTDetrConfig(backbone_config=RT_DETR_RESNET, **RT_DETR)), images()


def rt_detr_v2():
    config = RTDetrV2Config(backbone_config=RT_DETR_RESNET, decoder_n_points=3, **RT_DETR)
    return transformers.RTDetrV2ForObjectDetection(config), images()


def d_fine():
    config = DFineConfig(backbone_config=hgnet(), decoder_n_points=[3, 6, 2], **RT_DETR)
    return transformers.DFineForObjectDetection(config), images()


def mask2former():
    config = Mask2FormerConfig(
        backbone_config=swin(1, 2, 3, 4), feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_layers=2,
        encoder_feedforward_dim=32, decoder_layers=3, num_attention_heads=4, dim_feedforward=32, num_queries=12,
        num_labels=5,
    )  # fmt: skip
    return transformers.Mask2FormerForUniversalSegmentation(config), images()


def oneformer():
    config = OneFormerConfig(
        backbone_config=swin(1, 2, 3, 4), conv_dim=32, mask_dim=32, hidden_dim=32, encoder_layers=2,
        encoder_feedforward_dim=32, decoder_layers=3, num_attention_heads=4, dim_feedforward=32, num_queries=12,
        text_encoder_width=32, text_encoder_num_layers=1, text_encoder_vocab_size=50, text_encoder_context_length=7,
        task_seq_len=7, num_labels=5,
    )  # fmt: skip
    return transformers.OneFormerForUniversalSegmentation(config), {
        **images(), "task_inputs": torch.randint(0, 50, (2, 7)).float(),
    }  # fmt: skip


def lw_detr():
    config = LwDetrConfig(
        backbone_config=dict(
            model_type="lw_detr_vit", hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=64,
            pretrain_image_size=64, patch_size=16, num_windows=4, window_block_indices=[0], out_indices=[1, 2],
        ),
        projector_scale_factors=[2.0, 0.5], d_model=32, decoder_ffn_dim=32, decoder_layers=2, num_queries=12,
        decoder_self_attention_heads=2, decoder_cross_attention_heads=4, group_detr=2, num_labels=5,
    )  # fmt: skip
    return transformers.LwDetrForObjectDetection(config), {"pixel_values": torch.randn(2, 3, 64, 64)}


def rf_detr():
    config = transformers.RfDetrConfig(
        backbone_config=dict(
            model_type="rf_detr_dinov2", hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=64,
            patch_size=16, num_windows=2, out_indices=[1, 2],
        ),
        d_model=32, decoder_ffn_dim=32, decoder_layers=2, num_queries=12, decoder_n_points=2,
        decoder_self_attention_heads=2, decoder_cross_attention_heads=4, group_detr=2, num_labels=5,
    )  # fmt: skip
    return transformers.RfDetrForObjectDetection(config), {"pixel_values": torch.randn(2, 3, 64, 64)}


def deimv2():
    config = transformers.Deimv2Config(backbone_config=hgnet(), decoder_n_points=[2, 4, 3], **RT_DETR)
    return transformers.Deimv2ForObjectDetection(config), images()


def words():
    # 101, 102: BERT's marks for begin and end
    return {"input_ids": torch.tensor([[1, 7, 8, 9, 2]] * 2), "attention_mask": torch.ones(2, 5, dtype=torch.long)}


def grounding_dino(config=GroundingDinoConfig, model="GroundingDinoForObjectDetection"):
    made = config(
        backbone_config=swin(2, 3, 4), text_config=bert(), num_queries=12, **SIZES, **ENCODER, max_text_len=16,
    )  # fmt: skip
    return getattr(transformers, model)(made), {**images(), **words()}


def mm_grounding_dino():
    return grounding_dino(MMGroundingDinoConfig, "MMGroundingDinoForObjectDetection")


def omdet_turbo():
    config = OmDetTurboConfig(
        backbone_config=swin(2, 3, 4), apply_layernorm_after_vision_backbone=False, image_size=64,
        text_projection_in_dim=24, text_projection_out_dim=24,
        class_embed_dim=24, num_queries=12, encoder_hidden_dim=32, vision_features_channels=[32, 32, 32],
        encoder_in_channels=[16, 32, 64], encoder_attention_heads=4, encoder_dim_feedforward=32,
        decoder_hidden_dim=32, decoder_num_heads=4, decoder_num_layers=2, decoder_dim_feedforward=32,
        task_encoder_hidden_dim=32,
        text_config=dict(
            model_type="clip_text_model", vocab_size=50, hidden_size=24, intermediate_size=32, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=10, projection_dim=24, bos_token_id=1, eos_token_id=2,
        ),
    )  # fmt: skip
    model = transformers.OmDetTurboForObjectDetection(config)

    def forget(model, _):
        """The embeddings of texts, which the model keeps in the first call's dtype and with its graph."""
        model.language_cache_class.cache.clear()
        model.language_cache_prompt.cache.clear()

    model.register_forward_pre_hook(forget)
    tokens = torch.tensor([[1, 7, 8, 2, 2]])
    return model, {
        "pixel_values": torch.randn(2, 3, 64, 64),
        "classes_input_ids": tokens.repeat(4, 1), "classes_attention_mask": torch.ones(4, 5, dtype=torch.long),
        "tasks_input_ids": tokens.repeat(2, 1), "tasks_attention_mask": torch.ones(2, 5, dtype=torch.long),
        "classes_structure": torch.tensor([2, 2]),
    }  # fmt: skip


def pp_doclayout(version):
    config = getattr(transformers, f"PPDocLayoutV{version}Config")
    model = getattr(transformers, f"PPDocLayoutV{version}ForObjectDetection")
    more = {
        2: dict(class_thresholds=[0.5] * 5, class_order=list(range(5))),
        3: dict(mask_feature_channels=[16, 16], x4_feat_dim=8),
        4: {},
    }[version]
    return model(config(backbone_config=hgnet(1 if version == 3 else 2), **RT_DETR, **more)), images()


def make(name, seed=5, **settings):
    """(model, inputs), in eval mode; parameters are random, since many are 0 initially. settings change its config."""
    torch.manual_seed(seed)
    model, inputs = MODELS[name]()
    if settings:
        model.config.update(settings)
        model = type(model)(model.config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval(), inputs


MODELS = {
    **{
        made.__name__: made
        for made in (deformable_detr, grounding_dino, mm_grounding_dino, rt_detr, rt_detr_v2, d_fine, mask2former,
                     oneformer, omdet_turbo, lw_detr, rf_detr, deimv2)
    },
    **{f"pp_doclayout_v{version}": lambda version=version: pp_doclayout(version) for version in (2, 3, 4)},
}  # fmt: skip
