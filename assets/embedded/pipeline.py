from concat_id.pipelines.pipeline_wan import ConcatIDWanPipeline as Pipeline
